package proxy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// shapeOf returns what became of the statements of one shape.
func (r *running) shapeOf(query string) proxy.Shape {
	r.tb.Helper()
	shapes, _ := r.Shapes()
	i := slices.IndexFunc(shapes, func(s proxy.Shape) bool { return s.Query == query })
	if i < 0 {
		r.tb.Fatalf("%s is not among %+v", query, shapes)
	}
	return shapes[i]
}

// TestShadowCountsWhatWouldBeHits: by shape and by table, with the time that the server took for them and what became of the comparisons.
func TestShadowCountsWhatWouldBeHits(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) { o.CacheMode = "shadow" }, "CREATE TABLE t AS SELECT generate_series(1, 10) AS id")
		c, past := r.connect(parameters...), r.direct()
		const shape = "select count(*)::text from t"
		const n = 12
		for range n {
			value(t, c, "SELECT count(*)::text FROM t")
		}
		first := r.shapeOf(shape)
		if first.Would != n-first.Misses || first.Misses == 0 || first.Misses > 2 || first.Differed+first.Unclear+first.AllHits() != 0 || first.Bypasses != first.Would {
			t.Errorf("%d reads: %+v", n, first.Totals)
		}
		if first.WouldSave <= 0 || first.WouldSave > first.BypassTime || first.Timed != first.Would || first.HitTime <= 0 || first.Overhead <= 0 || first.Kept != first.Misses || first.Bytes <= 0 {
			t.Errorf("%+v", first.Totals)
		}
		mustExec(t, c, "UPDATE t SET id = id + 1")
		value(t, c, "SELECT count(*)::text FROM t")
		written := r.shapeOf(shape)
		if written.Invalidated != 1 || written.Misses != first.Misses+1 || written.Would != first.Would {
			t.Errorf("after a write: %+v", written.Totals)
		}
		mustExec(t, past, "INSERT INTO t VALUES (11)") // pgrecall does not see it
		value(t, c, "SELECT count(*)::text FROM t")
		value(t, c, "SELECT count(*)::text FROM t")
		last := r.shapeOf(shape)
		if last.Differed != 1 || last.Would != written.Would+1 || last.Changed != 0 {
			t.Errorf("after a write past pgrecall: %+v", last.Totals)
		}
		tables := r.Tables()
		if i := slices.IndexFunc(tables, func(t proxy.Table) bool { return t.Name == "public.t" }); i < 0 || tables[i].Would != last.Would || tables[i].Differed != 1 || tables[i].Writes != 1 {
			t.Errorf("%+v", tables)
		}
	})
}

// TestRenewalsAreCompared: a result that was too old is held against the one that takes its place, in front of clients that get answers from the cache.
func TestRenewalsAreCompared(t *testing.T) {
	r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) {
		policy := &cachepolicy.Policy{DefaultTTL: time.Millisecond, MaxResult: 1 << 20}
		if err := policy.Compile(); err != nil {
			t.Fatal(err)
		}
		o.Policy = policy
	}, "CREATE TABLE t AS SELECT generate_series(1, 10) AS id")
	c, past := r.connect(), r.direct()
	read := func() proxy.Shape {
		before := r.shapeOf("select count(*)::text from t").Kept
		eventually(t, "the result is asked for anew", func() bool {
			value(t, c, "SELECT count(*)::text FROM t")
			return r.shapeOf("select count(*)::text from t").Kept > before
		})
		return r.shapeOf("select count(*)::text from t")
	}
	value(t, c, "SELECT count(*)::text FROM t")
	if s := read(); s.Unchanged == 0 || s.Changed+s.Invalidated != 0 {
		t.Errorf("%+v", s.Totals)
	}
	mustExec(t, past, "INSERT INTO t VALUES (11)") // pgrecall does not see it
	if s := read(); s.Changed != 1 || s.Invalidated != 0 {
		t.Errorf("after a write past pgrecall: %+v", s.Totals)
	}
	unchanged := r.shapeOf("select count(*)::text from t").Unchanged
	mustExec(t, c, "INSERT INTO t VALUES (12)")
	if s := read(); s.Changed != 1 || s.Invalidated != 1 || s.Unchanged < unchanged {
		t.Errorf("after a write: %+v", s.Totals)
	}
}

// TestLargeRenewalsAreNotSorted: the client would wait for it.
func TestLargeRenewalsAreNotSorted(t *testing.T) {
	r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) {
		policy := &cachepolicy.Policy{DefaultTTL: time.Millisecond, MaxResult: 1 << 20}
		if err := policy.Compile(); err != nil {
			t.Fatal(err)
		}
		o.Policy = policy
	}, "CREATE TABLE t AS SELECT repeat('x', 1000) AS pad FROM generate_series(1, 30)")
	const query = "SELECT string_agg(pad, '') FROM t"
	c, past := r.connect(), r.direct()
	read := func() proxy.Totals {
		of := func() proxy.Totals { return r.shapeOf("select string_agg(pad, $1) from t").Totals }
		value(t, c, query)
		before := of().Kept
		eventually(t, "the result is asked for anew", func() bool { value(t, c, query); return of().Kept > before })
		return of()
	}
	if s := read(); s.Unchanged == 0 || s.Changed != 0 {
		t.Errorf("%+v", s)
	}
	mustExec(t, past, "UPDATE t SET pad = repeat('y', 1000)")
	if s := read(); s.Changed != 0 {
		t.Errorf("of the same length: %+v", s)
	}
	mustExec(t, past, "UPDATE t SET pad = pad || 'z'")
	if s := read(); s.Changed != 1 {
		t.Errorf("of another length: %+v", s)
	}
}

// TestWholeAndSecuredShapes: what makes all of a database invalid, and what row security may restrict, is told.
func TestWholeAndSecuredShapes(t *testing.T) {
	r := start(t, "CREATE TABLE t (id int)", "ALTER TABLE t ENABLE ROW LEVEL SECURITY", "CREATE POLICY p ON t USING (id > 0)", "CREATE TABLE u (id int)", "CREATE VIEW v AS SELECT id FROM u",
		"CREATE FUNCTION f(x text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE x; END'")
	c := r.connect()
	if _, err := c.Exec(t.Context(), "SELECT id FROM t"); err != nil {
		t.Fatal(err)
	}
	mustExec(t, c, "INSERT INTO u VALUES (1)")
	mustExec(t, c, "SELECT id FROM v")
	mustExec(t, c, "SELECT f('SELECT 1')")
	if s := r.shapeOf("select id from t"); !s.Secured || s.Whole != 0 {
		t.Errorf("%+v", s)
	}
	if s := r.shapeOf("select id from v"); !slices.Equal(slices.Sorted(slices.Values(s.Tables)), []string{"public.u", "public.v"}) { // package report relies on it
		t.Errorf("%+v", s)
	}
	if s := r.shapeOf("select f($1)"); s.Whole != 1 {
		t.Errorf("%+v", s)
	}
	if s := r.shapeOf("insert into u values ($1)"); s.Whole != 0 || s.Secured || len(s.Tables) != 1 {
		t.Errorf("%+v", s)
	}
}
