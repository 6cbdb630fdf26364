package proxy_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// TestAutoStopsWhatLoses: reads that are never asked for twice are not cached for a while, and say why; those that pay go on.
func TestAutoStopsWhatLoses(t *testing.T) {
	r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) { o.Auto = true }, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS id")
	c := r.connect()
	for i := range 150 {
		value(t, c, fmt.Sprintf("SELECT count(*)::text FROM t WHERE id = %d", i))
		value(t, c, "SELECT max(id)::text FROM t")
	}
	now := time.Now()
	r.Judge(now)
	stopped := r.Stopped()
	if len(stopped) != 1 || stopped[0].Query != "select count(*)::text from t where id = $1" {
		t.Fatalf("%+v", stopped)
	}
	count := func(query string) (bypassed, hits int64) {
		before := r.Status()
		value(t, c, query)
		value(t, c, query)
		after := r.Status()
		return after.Bypasses["not_worth_it"] - before.Bypasses["not_worth_it"], after.Outcomes["hit_l1"] - before.Outcomes["hit_l1"]
	}
	if bypassed, hits := count("SELECT count(*)::text FROM t WHERE id = 1"); bypassed != 2 || hits != 0 {
		t.Errorf("%d bypassed, %d hits of what does not pay", bypassed, hits)
	}
	eventually(t, "what pays is cached", func() bool { _, hits := count("SELECT max(id)::text FROM t"); return hits > 0 })

	r.Judge(stopped[0].Until)
	if len(r.Stopped()) != 0 {
		t.Error("it is not tried again")
	}
	eventually(t, "it is cached again", func() bool { _, hits := count("SELECT count(*)::text FROM t WHERE id = 1"); return hits > 0 })
	r.SetAuto(false)
}
