package cachepolicy_test

import (
	"slices"
	"testing"

	"github.com/pgrecall/pgrecall/cachepolicy"
)

// TestRelationKinds: what each kind of relation depends on, across schemas and several levels deep.
func TestRelationKinds(t *testing.T) {
	f := newFixtureOf(t, `
CREATE SCHEMA base; CREATE SCHEMA arch; CREATE SCHEMA api;
CREATE TABLE base.people (id int PRIMARY KEY, name text, boss int, born date);
CREATE TABLE base.events (id int, day date NOT NULL, kind text) PARTITION BY RANGE (day);
CREATE TABLE arch.events_2020 PARTITION OF base.events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE arch.events_2021 PARTITION OF base.events FOR VALUES FROM ('2021-01-01') TO ('2022-01-01') PARTITION BY LIST (kind);
CREATE TABLE api.events_2021_a PARTITION OF arch.events_2021 FOR VALUES IN ('a');
CREATE TABLE api.events_rest PARTITION OF base.events DEFAULT;
CREATE TABLE base.things (id int); CREATE TABLE arch.old_things (gone date) INHERITS (base.things);
CREATE TABLE base.others (id int); CREATE TABLE api.both (x int) INHERITS (base.things, base.others);
CREATE VIEW api.people AS SELECT id, name FROM base.people;
CREATE VIEW api.bosses WITH (security_barrier) AS SELECT p.id, b.name AS boss FROM api.people p JOIN base.people q USING (id) JOIN api.people b ON b.id = q.boss;
CREATE VIEW api.chain AS WITH RECURSIVE c AS (SELECT id, boss FROM base.people WHERE boss IS NULL UNION ALL SELECT p.id, p.boss FROM base.people p JOIN c ON c.id = p.boss) SELECT * FROM c;
CREATE VIEW api.counts AS SELECT kind, count(*) AS n, max(day)::timestamp AS last FROM base.events GROUP BY kind HAVING count(*) > (SELECT count(*) FROM base.things);
CREATE VIEW api.joined AS SELECT * FROM api.counts c, LATERAL (SELECT boss FROM api.bosses LIMIT 1) b;
CREATE MATERIALIZED VIEW api.stored AS SELECT * FROM api.counts;
CREATE MATERIALIZED VIEW api.moment AS SELECT now() AS at, id FROM base.people;
CREATE VIEW api.over_stored AS SELECT s.n, p.id FROM api.stored s, base.people p;
CREATE MATERIALIZED VIEW api.empty AS SELECT id FROM base.people WITH NO DATA;
CREATE VIEW api.late AS SELECT m.id, now() AS seen FROM api.moment m;
CREATE VIEW api.over_late AS SELECT id FROM api.late;
CREATE VIEW api.writable AS SELECT id, name FROM base.people;
CREATE FUNCTION api.writes() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER t INSTEAD OF INSERT OR UPDATE OR DELETE ON api.writable FOR EACH ROW EXECUTE FUNCTION api.writes();
CREATE VIEW api.checked AS SELECT id, born FROM base.people WHERE born > '2000-01-01' WITH CASCADED CHECK OPTION;
CREATE TABLE base.ruled (id int); CREATE RULE r AS ON UPDATE TO base.ruled DO INSTEAD NOTHING;
CREATE UNLOGGED TABLE base.fast (id int);
CREATE VIEW api.generated AS SELECT g AS n FROM generate_series(1, 3) g;
CREATE VIEW api.own_table AS SELECT p FROM base.people p;`)
	if f.snapshot.ServerVersion >= 150000 {
		f.execute(t, "CREATE VIEW api.invoked WITH (security_invoker) AS SELECT id FROM base.people")
		f.load(t)
	}
	for _, tc := range []struct {
		relation  string
		reason    cachepolicy.Reason
		relations []string
	}{
		{"base.events", "", []string{"api.events_2021_a", "api.events_rest", "arch.events_2020", "arch.events_2021", "base.events"}},
		{"arch.events_2021", "", []string{"api.events_2021_a", "arch.events_2021"}},
		{"api.events_2021_a", "", []string{"api.events_2021_a"}},
		{"base.things", "", []string{"api.both", "arch.old_things", "base.things"}},
		{"base.others", "", []string{"api.both", "base.others"}},
		{"api.both", "", []string{"api.both"}},
		{"api.people", "", []string{"api.people", "base.people"}},
		{"api.bosses", "", []string{"api.bosses", "api.people", "base.people"}},
		{"api.chain", "", []string{"api.chain", "base.people"}},
		{"api.counts", "", []string{"api.both", "api.counts", "api.events_2021_a", "api.events_rest", "arch.events_2020", "arch.events_2021", "arch.old_things", "base.events", "base.things"}},
		{"api.joined", "", []string{
			"api.bosses", "api.both", "api.counts", "api.events_2021_a", "api.events_rest", "api.joined", "api.people",
			"arch.events_2020", "arch.events_2021", "arch.old_things", "base.events", "base.people", "base.things",
		}},
		{"api.stored", "", []string{"api.stored"}},
		{"api.moment", "", []string{"api.moment"}},
		{"api.empty", "", []string{"api.empty"}},
		{"api.over_stored", "", []string{"api.over_stored", "api.stored", "base.people"}},
		{"api.late", cachepolicy.ReasonStable, nil},
		{"api.over_late", cachepolicy.ReasonStable, nil},
		{"api.writable", "", []string{"api.writable", "base.people"}},
		{"api.checked", "", []string{"api.checked", "base.people"}},
		{"api.invoked", "", []string{"api.invoked", "base.people"}},
		{"base.ruled", "", []string{"base.ruled"}},
		{"base.fast", "", []string{"base.fast"}},
		{"api.generated", "", []string{"api.generated"}},
		{"api.own_table", cachepolicy.ReasonTimeCast, nil}, // deparsed as p.*::base.people, which holds a date
		{"ONLY base.events", "", []string{"api.events_2021_a", "api.events_rest", "arch.events_2020", "arch.events_2021", "base.events"}},
	} {
		if tc.relation == "api.invoked" && f.snapshot.ServerVersion < 150000 {
			continue
		}
		d := f.decide("SELECT * FROM " + tc.relation)
		if got := f.names(d); d.Reason != tc.reason || !slices.Equal(got, tc.relations) {
			t.Errorf("%s\n\treason %q (%s), relations %v, want %q, %v", tc.relation, d.Reason, d.Detail, got, tc.reason, tc.relations)
		}
	}
}
