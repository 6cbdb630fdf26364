package proxy_test

import (
	"testing"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// TestCallsAreNoReads: an application that draws its keys by SELECT nextval has no lower hit rate for it.
func TestCallsAreNoReads(t *testing.T) {
	r := startOn(t, pgtest.Shared(t).NewDatabase(t), nil, "CREATE SEQUENCE s; CREATE TABLE t (id int)")
	c := r.connect()
	value(t, c, "SELECT count(*)::text FROM t")
	before := r.Status()
	for _, sql := range []string{"SELECT nextval('s')::text", "SELECT setval('s', 7)::text", "SELECT pg_advisory_lock_shared(1)::text", "SELECT pg_notify('a', 'b')::text"} {
		value(t, c, sql)
	}
	value(t, c, "SELECT random()::text FROM (SELECT count(*) FROM t) x")
	after := r.Status()
	if bypasses, others := after.Outcomes["bypass"]-before.Outcomes["bypass"], after.Outcomes["other"]-before.Outcomes["other"]; bypasses != 1 || others < 4 {
		t.Errorf("%d bypasses, %d others", bypasses, others)
	}
}
