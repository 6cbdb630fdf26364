package cachepolicy

import (
	"context"
	"regexp"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// stableDenied are the STABLE functions that stay upstream, by why they do.
var stableDenied = map[string]*regexp.Regexp{ //nolint:gochecknoglobals // constant
	"reads the clock":                          regexp.MustCompile(`^(now|statement_timestamp|transaction_timestamp|age|timetz)$`),
	"tells of the server":                      regexp.MustCompile(`^(pg_stat_.*|pg_.*_time|pg_config|pg_timezone_.*|pg_listening_channels|pg_cursor|pg_prepared_statement|pg_show_all_settings|pg_settings_get_flags|pg_available_.*|pg_extension_.*|pg_split_walfile_name|pg_numa_available|pg_tablespace_.*|pg_replication_origin_oid|version|inet_.*)$`),
	"tells of the session":                     regexp.MustCompile(`^(pg_backend_pid|pg_my_temp_schema|pg_is_other_temp_schema|pg_trigger_depth|pg_event_trigger_.*|system_user|row_security_active)$`),
	"tells of the transaction":                 regexp.MustCompile(`^(txid_current.*|pg_current_.*|mxid_age)$`),
	"tells how a value is stored":              regexp.MustCompile(`^(pg_column_size|pg_column_compression|pg_column_toast_chunk_id|pg_relation_file.*|pg_filenode_relation)$`),
	"looks definitions up":                     regexp.MustCompile(`^(pg_get_.*|pg_describe_object|pg_identify_.*|pg_.*_is_visible|pg_.*_has_property|pg_.*_is_(updatable|publishable)|pg_basetype|pg_collation_for|pg_typeof|pg_options_to_table|pg_sequence_parameters|pg_char_to_encoding|pg_encoding_to_char|to_reg.*|regclass|format_type|.*_description|oidvectortypes|ts_debug|ts_parse|ts_token_type|get_current_ts_config)$`),
	"looks rights up":                          regexp.MustCompile(`^(has_.*_privilege|aclexplode)$`),
	"runs a query":                             regexp.MustCompile(`_to_xml(schema|_and_xmlschema)?$`),
	"makes values of a type named at run time": regexp.MustCompile(`^(jsonb?_populate_record(set|_valid)?|pg_input_.*)$`),
	"reads or writes a type's text or binary form, perhaps of a clock or name":         regexp.MustCompile(`(_in|_out|(reg.*|acl.*|multi|enum|time.*|bpchar|name|cstring)(in|out)|_?recv|_?send)$`),
	"serves the planner, an operator, an aggregate or a language, and nobody calls it": regexp.MustCompile(`(sel|_typanalyze|_validator|_agg_finalfn|_transfn|_(cmp|eq|ne|lt|le|gt|ge)_(date|timestamp|timestamptz))$|^(timestamptz_(pl|mi)_interval|interval_pl_timestamptz|anytextcat|textanycat|ts_match_.*|pg_mcv_list_items)$`),
}

// TestStableFunctionsOfEachVersion looks at every STABLE function that initdb made: each is either allowed, or denied for a
// reason that stands above, so that what a new version brings is looked at.
func TestStableFunctionsOfEachVersion(t *testing.T) {
	ever := make(map[string]bool)
	for _, version := range []string{"13", "14", "15", "16", "17", "18"} {
		conn, err := pgx.Connect(t.Context(), pgtest.Start(t, pgtest.WithVersion(version)).NewDatabase(t))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
		rows, err := conn.Query(t.Context(), `SELECT proname::text, bool_or(provolatile = 's') FROM pg_proc
			WHERE pronamespace = 'pg_catalog'::regnamespace AND oid < 16384 GROUP BY 1 ORDER BY 1`)
		if err != nil {
			t.Fatal(err)
		}
		var name string
		var stable bool
		count := 0
		_, err = pgx.ForEachRow(rows, []any{&name, &stable}, func() error {
			ever[name] = true
			if !stable || name == zoned {
				return nil
			}
			count++
			var why []string
			for reason, names := range stableDenied {
				if names.MatchString(name) {
					why = append(why, reason)
				}
			}
			if allowed := stableAllowed[name]; allowed && len(why) > 0 || !allowed && len(why) != 1 {
				t.Errorf("version %s: %s is allowed: %v, and denied because it %q", version, name, allowed, why)
			}
			return nil
		})
		if err != nil || count < 400 {
			t.Errorf("version %s: %d functions, %v", version, count, err)
		}
	}
	var unheard []string
	for name := range stableAllowed {
		if !ever[name] {
			unheard = append(unheard, name)
		}
	}
	slices.Sort(unheard)
	if len(unheard) > 0 {
		t.Errorf("no version has %v", unheard)
	}
}

// TestOperatorsOfEachVersion: every operator of pg_catalog is taken for safe. None writes; those that are STABLE depend on settings
// or definitions alone; + and - return no text, and ranges of texts can't be cast to ranges of dates.
func TestOperatorsOfEachVersion(t *testing.T) {
	for _, version := range []string{"13", "14", "15", "16", "17", "18"} {
		conn, err := pgx.Connect(t.Context(), pgtest.Start(t, pgtest.WithVersion(version)).NewDatabase(t))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
		var odd []string
		err = conn.QueryRow(t.Context(), `
SELECT coalesce(array_agg(o.oid::regoperator::text), '{}')
  FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode JOIN pg_type t ON t.oid = o.oprresult
 WHERE o.oid < 16384 AND (
   p.provolatile = 'v'
   OR p.provolatile = 's' AND p.proname !~ '_(cmp|eq|ne|lt|le|gt|ge)_(date|timestamp|timestamptz)$'
      AND p.proname NOT IN ('timestamptz_pl_interval', 'timestamptz_mi_interval', 'interval_pl_timestamptz', 'anytextcat', 'textanycat', 'ts_match_tt', 'ts_match_tq')
   OR o.oprname IN ('+', '-') AND (t.typcategory IN ('S', 'X', 'P') OR t.typelem IN (SELECT oid FROM pg_type WHERE typcategory = 'S')) AND t.typname NOT IN ('anyrange', 'anymultirange'))`).Scan(&odd)
		if err != nil || len(odd) > 0 {
			t.Errorf("version %s: %v, %v", version, odd, err)
		}
	}
}
