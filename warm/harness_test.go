package warm_test

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
	"go.uber.org/goleak"

	"github.com/pgrecall/pgrecall/cache/memory"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/proxy"
	"github.com/pgrecall/pgrecall/warm"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/pgrecall/pgrecall/internal/pgtest.(*process).run"))
}

// running is a pgrecall in front of a database of its own.
type running struct {
	*proxy.Server
	tb       testing.TB
	upstream string // DSN straight to PostgreSQL
	address  string
}

// start starts pgrecall in front of a database in which the statements have been executed.
func start(tb testing.TB, dsn string, change func(*proxy.Options), setup ...string) *running {
	tb.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	r := &running{tb: tb, upstream: dsn}
	direct := r.connect(dsn)
	for _, sql := range setup {
		exec(tb, direct, sql)
	}
	l1, err := memory.New(memory.Options{LimitBytes: 64 << 20})
	if err != nil {
		tb.Fatal(err)
	}
	options := proxy.Options{
		Upstream: config, HasAccount: true, L1: l1, Statements: parser.NewCache(16 << 20), Policy: policy(tb),
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), CatalogInterval: time.Second,
	}
	if change != nil {
		change(&options)
	}
	if r.Server, err = proxy.NewServer(options); err != nil {
		tb.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	r.address = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- r.Serve(l) }()
	tb.Cleanup(func() {
		stopped, stop := context.WithCancel(context.Background())
		stop() // sessions that are open are cut off
		_ = r.Shutdown(stopped)
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			tb.Errorf("Serve: %v", err)
		}
		l1.Close()
	})
	return r
}

func policy(tb testing.TB, rules ...cachepolicy.Rule) *cachepolicy.Policy {
	tb.Helper()
	p := &cachepolicy.Policy{DefaultTTL: time.Minute, MaxResult: 1 << 20, Rules: rules}
	if err := p.Compile(); err != nil {
		tb.Fatal(err)
	}
	return p
}

// dsn is the way through pgrecall, with further parameters.
func (r *running) dsn(parameters ...string) string {
	config, _ := pgx.ParseConfig(r.upstream)
	host, port, _ := net.SplitHostPort(r.address)
	return "host=" + host + " port=" + port + " user=" + config.User + " dbname=" + config.Database + " sslmode=disable " + strings.Join(parameters, " ")
}

func (r *running) connect(dsn string) *pgx.Conn {
	r.tb.Helper()
	c, err := pgx.Connect(bounded(r.tb), dsn)
	if err != nil {
		r.tb.Fatal(err)
	}
	r.tb.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// warm runs with the options, whose target is this pgrecall unless they name one.
func (r *running) warm(o warm.Options, items []warm.Item, parameters ...string) (*warm.Report, error) {
	r.tb.Helper()
	if o.Target == nil {
		o.Target = parse(r.tb, r.dsn(parameters...))
	}
	o.Upstream = parse(r.tb, r.upstream)
	if o.Policy == nil {
		o.Policy = policy(r.tb)
	}
	return warm.Run(bounded(r.tb), items, o)
}

func parse(tb testing.TB, dsn string) *pgx.ConnConfig {
	tb.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	return config
}

func items(tb testing.TB, text string) []warm.Item {
	tb.Helper()
	list, err := warm.Read("test", []byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return list
}

// hits tells how many statements were answered from the cache while f ran.
func (r *running) hits(f func()) int64 {
	before := r.Status().Outcomes["hit_l1"]
	f()
	return r.Status().Outcomes["hit_l1"] - before
}

func bounded(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	tb.Cleanup(cancel)
	return ctx
}

func exec(tb testing.TB, c *pgx.Conn, sql string, args ...any) {
	tb.Helper()
	if _, err := c.Exec(bounded(tb), sql, args...); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}

// text returns the only value of a query as text.
func text(tb testing.TB, c *pgx.Conn, sql string, args ...any) (value string) {
	tb.Helper()
	if err := c.QueryRow(bounded(tb), sql, args...).Scan(&value); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
	return value
}

// eventually waits, within a bound, until a condition that some goroutine brings about holds.
func eventually(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	deadline := time.Now().Add(15 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			tb.Fatalf("not within 15 s: %s", what)
		}
		<-tick.C
	}
}

func shared(tb testing.TB) string { return pgtest.Shared(tb).NewDatabase(tb) }
