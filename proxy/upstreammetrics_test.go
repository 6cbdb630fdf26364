package proxy_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// metricOf returns a metric's value, of the label's value where one is given; -1 where there is none.
func (r *running) metricOf(tb testing.TB, name, label string) float64 {
	tb.Helper()
	families, err := r.Registerer.(prometheus.Gatherer).Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if label == "" || len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return -1
}

// TestUpstreamErrorsAreCounted by what they mean to the one who is on call.
func TestUpstreamErrorsAreCounted(t *testing.T) {
	server := pgtest.Start(t)
	r := startOn(t, server.NewDatabase(t), func(o *proxy.Options) { o.Limits.MaxConnections = 3 })
	errorsOf := func(kind string) float64 { return r.metricOf(t, "pgrecall_upstream_errors_total", kind) }
	for _, kind := range []string{"statement", "server", "login", "connect", "lost"} {
		if n := errorsOf(kind); n != 0 {
			t.Errorf("%v %s errors before the first", n, kind)
		}
	}
	c := r.connect()
	if _, err := c.Exec(bounded(t), "SELECT 1/0"); err == nil {
		t.Error("1/0 is a number")
	}
	if n := errorsOf("statement"); n != 1 {
		t.Errorf("%v errors of statements", n)
	}
	pid := value(t, c, "SELECT pg_backend_pid()::text")
	mustExec(t, r.direct(), "SELECT pg_terminate_backend("+pid+")")
	eventually(t, "the end of the backend is counted", func() bool { return errorsOf("server") == 1 })

	bad := r.raw()
	bad.startup(protocol30, "postgres://nobody_at_all@localhost/"+r.Database)
	bad.untilClosed()
	if n := errorsOf("login"); n != 1 {
		t.Errorf("%v errors of logins", n)
	}

	open := r.session()
	must(t, server.Kill(bounded(t)))
	open.untilClosed()
	eventually(t, "the lost connection is counted", func() bool { return errorsOf("lost")+errorsOf("server") >= 2 })
	c2 := r.raw()
	c2.startup(protocol30, r.Upstream)
	c2.untilClosed()
	if n := errorsOf("connect"); n < 1 {
		t.Errorf("%v errors of connections", n)
	}
}

// TestLimitOfClientsIsShown beside those that are connected and those that were refused.
func TestLimitOfClientsIsShown(t *testing.T) {
	r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) { o.Limits.MaxConnections = 1 })
	r.session()
	refused := r.raw()
	refused.startup(protocol30, r.Upstream)
	refused.untilClosed()
	for name, want := range map[string]float64{"pgrecall_client_connections_limit": 1, "pgrecall_client_connections": 1, "pgrecall_clients_refused_total": 1} {
		if got := r.metricOf(t, name, ""); got != want {
			t.Errorf("%s %v, want %v", name, got, want)
		}
	}
}

// TestAgeOfTheCatalogIsShown as long as the server can be asked, and after.
func TestAgeOfTheCatalogIsShown(t *testing.T) {
	server := pgtest.Start(t)
	r := startOn(t, server.NewDatabase(t), func(o *proxy.Options) { o.CatalogInterval = 300 * time.Millisecond })
	ready := func() float64 { return r.metricOf(t, "pgrecall_catalog_ready", r.Database) }
	age := func() float64 { return r.metricOf(t, "pgrecall_catalog_age_seconds", r.Database) }
	if got := r.metricOf(t, "pgrecall_catalog_interval_seconds", ""); got != 0.3 {
		t.Errorf("an interval of %v s", got)
	}
	if ready() != 1 || age() < 0 || age() > 5 {
		t.Errorf("ready %v, %v s old", ready(), age())
	}
	must(t, server.Kill(bounded(t)))
	eventually(t, "the catalog is older than two intervals and not used any more", func() bool { return ready() == 0 && age() > 0.6 })
}
