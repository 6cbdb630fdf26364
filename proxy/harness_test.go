package proxy_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrecall/pgrecall/cache/memory"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/proxy"
)

// running is a pgrecall in front of a database of its own.
type running struct {
	*proxy.Server
	tb       testing.TB
	Upstream string // DSN straight to PostgreSQL
	Address  string
	Database string
}

// start starts pgrecall in front of a fresh database in which the statements have been executed.
func start(tb testing.TB, setup ...string) *running {
	tb.Helper()
	return startOn(tb, pgtest.Shared(tb).NewDatabase(tb), nil, setup...)
}

func startOn(tb testing.TB, dsn string, change func(*proxy.Options), setup ...string) *running {
	tb.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	r := &running{tb: tb, Upstream: dsn, Database: config.Database}
	direct := r.direct()
	for _, statement := range setup {
		mustExec(tb, direct, statement)
	}
	r.serve(config, change)
	if r.HasAccount && r.CacheMode != "off" {
		r.Watch(r.Database)
		r.waitReady()
	}
	return r
}

// serve starts pgrecall in front of an upstream that may be down.
func (r *running) serve(config *pgx.ConnConfig, change func(*proxy.Options)) {
	tb := r.tb
	tb.Helper()
	l1, err := memory.New(memory.Options{LimitBytes: 64 << 20})
	if err != nil {
		tb.Fatal(err)
	}
	policy := &cachepolicy.Policy{DefaultTTL: time.Minute, MaxResult: 1 << 20}
	if err := policy.Compile(); err != nil {
		tb.Fatal(err)
	}
	options := proxy.Options{
		Upstream: config, HasAccount: true, L1: l1, Statements: parser.NewCache(16 << 20), Policy: policy,
		Logger: slog.New(slog.NewTextHandler(testWriter{tb}, nil)), Registerer: prometheus.NewRegistry(),
		CatalogInterval: time.Second, Series: 10,
	}
	if change != nil {
		change(&options)
	}
	r.Server, err = proxy.NewServer(options)
	if err != nil {
		tb.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	r.Address = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- r.Serve(l) }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		stop, done := context.WithCancel(ctx)
		done() // sessions that are open are cut off
		_ = r.Shutdown(stop)
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			tb.Errorf("Serve: %v", err)
		}
		l1.Close()
	})
}

// waitReady waits until the catalog is loaded.
func (r *running) waitReady() {
	r.tb.Helper()
	eventually(r.tb, "the catalog is loaded", func() bool { return r.Ready() == nil })
}

// eventually waits, within a bound, until a condition that some goroutine brings about holds.
func eventually(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			tb.Fatalf("not within 10 s: %s", what)
		}
		<-tick.C
	}
}

// DSN returns how to connect through pgrecall, with further parameters.
func (r *running) DSN(parameters ...string) string {
	config, _ := pgx.ParseConfig(r.Upstream)
	host, port, _ := net.SplitHostPort(r.Address)
	return "host=" + host + " port=" + port + " user=" + config.User + " dbname=" + config.Database + " " + strings.Join(parameters, " ")
}

// connect connects through pgrecall.
func (r *running) connect(parameters ...string) *pgx.Conn {
	r.tb.Helper()
	return dial(r.tb, r.DSN(parameters...))
}

// direct connects past pgrecall.
func (r *running) direct() *pgx.Conn {
	r.tb.Helper()
	return dial(r.tb, r.Upstream)
}

func dial(tb testing.TB, dsn string) *pgx.Conn {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		tb.Fatalf("connect: %v", err)
	}
	tb.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// hits returns the number of statements answered from the cache so far.
func (r *running) hits() int64 { return r.Status().Outcomes["hit_l1"] }

func bounded(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	tb.Cleanup(cancel)
	return ctx
}

func mustExec(tb testing.TB, c *pgx.Conn, sql string, args ...any) {
	tb.Helper()
	if _, err := c.Exec(bounded(tb), sql, args...); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}

// simple is for sessions of the simple protocol: each read is one entry, and there are no descriptions.
const simple = "default_query_exec_mode=simple_protocol"

// value returns the only value of a query's only row as text.
func value(tb testing.TB, c *pgx.Conn, sql string, args ...any) string {
	tb.Helper()
	rows, err := c.Query(bounded(tb), sql, args...)
	if err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
	defer rows.Close()
	out := []string{}
	for rows.Next() {
		for _, v := range rows.RawValues() {
			if v == nil {
				out = append(out, "NULL")
			} else {
				out = append(out, string(v))
			}
		}
	}
	if rows.Err() != nil {
		tb.Fatalf("%s: %v", sql, rows.Err())
	}
	return strings.Join(out, "|")
}

type testWriter struct{ tb testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	defer func() { _ = recover() }() // the test is over
	w.tb.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// probes returns how often settings were read from the server.
func (r *running) probes(tb testing.TB) float64 {
	tb.Helper()
	families, err := r.Registerer.(prometheus.Gatherer).Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "pgrecall_setting_probes_total" {
			n := 0.0
			for _, m := range family.GetMetric() {
				n += m.GetCounter().GetValue()
			}
			return n
		}
	}
	tb.Fatal("no counter of probes")
	return 0
}
