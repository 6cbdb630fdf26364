package catalog_test

import (
	"slices"
	"testing"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

func TestLoadPolicies(t *testing.T) {
	conn := connect(t, pgtest.Shared(t).NewDatabase(t))
	execute(t, conn, `
CREATE TABLE teams (id int, who name);
CREATE TABLE audits (id int);
CREATE TABLE docs (id int, team int);
CREATE TABLE off (id int);
CREATE POLICY p ON off USING (true);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY a ON docs USING (team IN (SELECT t.id FROM teams t)) WITH CHECK (id > 0);
CREATE POLICY b ON docs FOR INSERT WITH CHECK (id IN (SELECT a.id FROM audits a));
CREATE POLICY c ON docs FOR SELECT TO pg_monitor USING (team = 1);`)
	s := load(t, conn)
	docs := s.Relation("public", "docs")
	want := []catalog.Policy{
		{Name: "a", Command: '*', Using: "(team IN ( SELECT t.id\n   FROM public.teams t))", Check: "(id > 0)"},
		{Name: "b", Command: 'a', Check: "(id IN ( SELECT a.id\n   FROM public.audits a))"},
		{Name: "c", Command: 'r', Using: "(team = 1)"},
	}
	if !slices.Equal(docs.Policies, want) {
		t.Errorf("policies %+v", docs.Policies)
	}
	if !slices.Equal(docs.PolicyReads, []uint32{s.Relation("public", "teams").OID}) {
		t.Errorf("policies read %v", docs.PolicyReads)
	}
	if r := s.Relation("public", "off"); len(r.Policies) != 0 {
		t.Errorf("policies of a table without row security: %+v", r.Policies)
	}
	last := s.Digest
	for _, definition := range []string{
		"ALTER POLICY c ON docs USING (team = 2)", "ALTER POLICY c ON docs TO PUBLIC", "ALTER POLICY a ON docs WITH CHECK (id > 1)",
		"DROP POLICY b ON docs", "ALTER TABLE off ENABLE ROW LEVEL SECURITY", "ALTER TABLE docs DISABLE ROW LEVEL SECURITY",
	} {
		execute(t, conn, definition)
		next := load(t, conn).Digest
		if next == last {
			t.Errorf("the digest did not change by %s", definition)
		}
		last = next
	}
}

func TestCustomSettings(t *testing.T) {
	conn := connect(t, pgtest.Shared(t).NewDatabase(t))
	execute(t, conn, `
CREATE TABLE t (id int, tenant text);
CREATE VIEW v AS SELECT id FROM t WHERE tenant = current_setting('Of.View', true);
CREATE POLICY p ON t USING (tenant = current_setting('of.policy') AND current_setting('work_mem') <> '');
CREATE TABLE u (tenant text);
CREATE POLICY p ON u USING (tenant = current_setting('not.in_force'));
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
DO $$BEGIN
  EXECUTE format('ALTER DATABASE %I SET Of.Database = %L', current_database(), 'x');
  EXECUTE format('ALTER ROLE %I IN DATABASE %I SET of.role = %L', current_user, current_database(), 'a=b.c');
  EXECUTE format('ALTER DATABASE %I SET work_mem = %L', current_database(), '5MB');
END$$`)
	s := load(t, conn)
	if want := []string{"of.database", "of.policy", "of.role", "of.view"}; !slices.Equal(s.CustomSettings, want) {
		t.Errorf("%q, want %q", s.CustomSettings, want)
	}
}
