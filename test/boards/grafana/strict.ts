// Types for boards as files hold them, made of those that Grafana publishes: JSON has the values of enumerations, and options and field settings are
// those of the panel's type. What they don't know is an error, since TypeScript refuses unknown keys of literals.
import type * as grafana from '@grafana/schema';
import type { FieldConfig as AnyField, FieldConfigSource, Panel as AnyPanel, RowPanel } from '@grafana/schema/raw/dashboard';
import type * as stat from '@grafana/schema/raw/stat';
import type * as table from '@grafana/schema/raw/table';
import type * as timeseries from '@grafana/schema/raw/timeseries';

type InJSON<T> = unknown extends T ? T
  : T extends string ? `${T}`
  : T extends number | boolean | null | undefined ? T
  : T extends (infer U)[] ? InJSON<U>[]
  : T extends object ? { [K in keyof T]: InJSON<T[K]> }
  : T;

// A query for Prometheus; its types are in the data source's own package.
interface Query {
  refId: string;
  datasource: grafana.DataSourceRef;
  expr: string;
  legendFormat?: string;
  instant?: boolean;
  range: boolean;
  format?: 'table' | 'time_series' | 'heatmap';
}

type Fields<Custom> = Omit<FieldConfigSource, 'defaults'> & { defaults: Omit<AnyField, 'custom'> & { custom?: Partial<Custom> } };

type Panel<Type extends string, Options, Custom> = InJSON<Omit<AnyPanel, 'type' | 'options' | 'fieldConfig' | 'targets' | 'datasource'> & {
  datasource: grafana.DataSourceRef;
  targets: Query[];
  fieldConfig: Fields<Custom>;
}> & { type: Type; options: Partial<InJSON<Options>> };

type Row = InJSON<Omit<RowPanel, 'panels' | 'type'>> & { type: 'row'; panels: never[] };

export type Board = InJSON<Omit<grafana.Dashboard, 'panels'>> & {
  uid: string;
  title: string;
  panels: (Row | Panel<'stat', stat.Options, object> | Panel<'table', table.Options, table.FieldConfig> | Panel<'timeseries', timeseries.Options, timeseries.FieldConfig>)[];
};
