package catalog_test

import (
	"testing"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// TestLoadFromEveryVersion loads the same definitions from each version that is supported.
func TestLoadFromEveryVersion(t *testing.T) {
	for _, version := range []string{"13", "14", "15", "16", "17", "18"} {
		t.Run(version, func(t *testing.T) {
			conn := connect(t, pgtest.Start(t, pgtest.WithVersion(version)).NewDatabase(t))
			execute(t, conn, `
CREATE TABLE customers (id int PRIMARY KEY, span int4range, at timestamptz);
CREATE TABLE orders (id int, customer int REFERENCES customers ON DELETE CASCADE);
CREATE VIEW latest AS SELECT c.id, date_trunc('day', c.at) AS day FROM customers c;
CREATE TABLE parts (id int) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE FUNCTION logs() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER logged AFTER INSERT ON parts FOR EACH ROW EXECUTE FUNCTION logs();
CREATE FUNCTION drifting(int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
CREATE AGGREGATE sums (int) (SFUNC = int4pl, STYPE = int);`)
			s := load(t, conn)
			customers, orders := s.Relation("public", "customers"), s.Relation("public", "orders")
			if customers.UnsafeColumn != "" || len(customers.ReferencedBy) != 1 || customers.ReferencedBy[0].Referencing != orders.OID {
				t.Errorf("customers %+v", customers)
			}
			if v := s.Relation("public", "latest"); v.ViewDefinition == "" || len(v.ViewReads) != 1 {
				t.Errorf("view %+v", v)
			}
			for _, relation := range []string{"parts", "parts_1"} { // a partition's copies were marked internal before version 15
				if r := s.Relation("public", relation); len(r.Triggers) != 1 {
					t.Errorf("triggers of %s: %+v", relation, r.Triggers)
				}
			}
			if f := s.Functions(nil, "public", "sums"); len(f) != 1 || f[0].Volatility != 'i' {
				t.Errorf("aggregate %+v", f)
			}
			if again := load(t, conn); again.Digest != s.Digest {
				t.Error("the digest changed without a change")
			}
			w := watch(t, conn.Config().ConnString(), 0)
			eventually(t, "a snapshot", w.Ready)
			execute(t, conn, "BEGIN")
			if open := openOf(t, w, conn.PgConn().PID()); len(open) != 1 || gone(t, w, open[0]) {
				t.Errorf("open transactions %+v", open)
			}
		})
	}
}
