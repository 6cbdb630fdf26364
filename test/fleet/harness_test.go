package fleet

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/cache/codec"
	"github.com/pgrecall/pgrecall/cache/memory"
	"github.com/pgrecall/pgrecall/cache/redis"
	"github.com/pgrecall/pgrecall/cache/remote"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/internal/faultnet"
	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/invalidator/bus"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/proxy"
)

// patience bounds what a test waits for, on a busy machine.
const patience = 20 * time.Second

// lease is shorter than the default, so that the tests are.
const lease = 500 * time.Millisecond

// fleet is some pgrecalls in front of one database.
type fleet struct {
	t        *testing.T
	level    cachepolicy.Consistency
	upstream string // DSN straight to PostgreSQL
	members  []*member
}

// member is one pgrecall.
type member struct {
	*proxy.Server
	line     *faultnet.Proxy // its way to Redis, nil where there is none of its own
	registry *prometheus.Registry
	address  string
	strict   bool
}

// setup is what a fleet is made of. The zero value is two pgrecalls under strict with a Redis of their own.
type setup struct {
	members int // 0: two
	level   cachepolicy.Consistency
	levels  []cachepolicy.Consistency // of each member, where they differ
	url     string                    // of Redis, reached without a line of one's own
	server  *pgtest.Redis             // reached by lines
	keys    func(member int) []codec.Secret
	tables  int // c0, c1, ...: one row, n = 0
}

// start starts a fleet and waits until it is certain of its members.
func start(t *testing.T, s setup) *fleet {
	t.Helper()
	if s.members == 0 {
		s.members = 2
	}
	// Its own server: pgrecalls of other tests in front of the same one, which are no members of this fleet, would keep it from being certain.
	f := &fleet{t: t, level: s.level, upstream: pgtest.Start(t).NewDatabase(t)}
	direct := f.dial(f.upstream)
	for i := range max(1, s.tables) {
		f.exec(direct, "CREATE TABLE "+table(i)+" (n int)")
		f.exec(direct, "INSERT INTO "+table(i)+" VALUES (0)")
	}
	for i := range s.members {
		if s.levels != nil {
			s.level = s.levels[i]
		}
		f.add(s)
	}
	f.certain()
	return f
}

// add starts one more member.
func (f *fleet) add(s setup) *member {
	t := f.t
	t.Helper()
	m := &member{registry: prometheus.NewRegistry(), strict: s.level == cachepolicy.Strict}
	url := s.url
	if s.server != nil {
		m.line = faultnet.Start(t, s.server.Address())
		url = "redis://" + m.line.Address()
	}
	options, err := redis.ParseURL(url)
	check(t, err)
	universal, err := options.Universal()
	check(t, err)
	universal.ContextTimeoutEnabled = true
	log := goredis.NewUniversalClient(universal)
	t.Cleanup(func() { _ = log.Close() })
	store, err := redis.New(options)
	check(t, err)
	guard := remote.New(store, remote.Options{MaxBackoff: 500 * time.Millisecond})
	t.Cleanup(func() { _ = guard.Close() })
	var sealing codec.Options
	if s.keys != nil {
		sealing.Keys = s.keys(len(f.members))
	}
	entries, err := codec.New(sealing)
	check(t, err)
	logger := slog.New(slog.NewTextHandler(t.Output(), nil)).With("member", len(f.members))
	f.serve(m, s.level, func(o *proxy.Options) {
		o.Logger = logger
		o.Fleet = &proxy.Fleet{Strict: s.level == cachepolicy.Strict, Bus: bus.Options{Redis: log, Namespace: "test", Lease: lease, Logger: logger}}
		o.Shared = &proxy.Shared{Store: guard, Codec: entries, Namespace: "test"}
	})
	f.members = append(f.members, m)
	return m
}

// serve starts a member's server, and ends it with the test.
func (f *fleet) serve(m *member, level cachepolicy.Consistency, change func(*proxy.Options)) {
	t := f.t
	t.Helper()
	upstream, err := pgx.ParseConfig(f.upstream)
	check(t, err)
	l1, err := memory.New(memory.Options{LimitBytes: 64 << 20})
	check(t, err)
	t.Cleanup(l1.Close)
	policy := &cachepolicy.Policy{DefaultTTL: time.Minute, MaxResult: 1 << 20, Consistency: level}
	check(t, policy.Compile())
	options := proxy.Options{
		Upstream: upstream, HasAccount: true, L1: l1, Statements: parser.NewCache(16 << 20), Policy: policy, Registerer: m.registry,
		CatalogInterval: time.Minute,
	}
	change(&options)
	m.Server, err = proxy.NewServer(options)
	check(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	m.address = listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- m.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // sessions that are open are cut off
		_ = m.Shutdown(ctx)
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Errorf("pgrecall: %v", err)
		}
	})
	m.Watch(upstream.Database)
	eventually(t, "the catalog is loaded", func() bool { return m.Ready() == nil })
}

// certain waits until all members are certain of each other, or are members at least where no level needs that.
func (f *fleet) certain() {
	f.t.Helper()
	eventually(f.t, "the fleet is certain of its members", func() bool {
		for _, m := range f.members {
			if s := m.Status().Fleet; !s.Member || m.strict && !s.Live || s.Members != len(f.members)-1 {
				return false
			}
		}
		return true
	})
}

// connect connects through a member, as the owner of everything.
func (f *fleet) connect(i int) *pgx.Conn {
	f.t.Helper()
	return f.connectAs(i, "")
}

// connectAs connects as a role.
func (f *fleet) connectAs(i int, role string) *pgx.Conn {
	f.t.Helper()
	config, err := pgx.ParseConfig(f.upstream)
	check(f.t, err)
	host, port, err := net.SplitHostPort(f.members[i].address)
	check(f.t, err)
	if role == "" {
		role = config.User
	}
	return f.dial("host=" + host + " port=" + port + " user=" + role + " dbname=" + config.Database)
}

func (f *fleet) dial(dsn string) *pgx.Conn {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	config, err := pgx.ParseConfig(dsn)
	check(f.t, err)
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	c, err := pgx.ConnectConfig(ctx, config)
	check(f.t, err)
	f.t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func (f *fleet) exec(c *pgx.Conn, sql string) {
	f.t.Helper()
	_, err := c.Exec(bounded(f.t), sql)
	check(f.t, err)
}

// value returns the number that a query answers.
func (f *fleet) value(c *pgx.Conn, sql string) (n int) {
	f.t.Helper()
	check(f.t, c.QueryRow(bounded(f.t), sql).Scan(&n))
	return n
}

// gathered returns a member's counters and gauges, by name, and by name/label of those that have one.
func (m *member) gathered(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := m.registry.Gather()
	check(t, err)
	figures := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			if labels := metric.GetLabel(); len(labels) > 0 {
				name += "/" + labels[0].GetValue()
			}
			figures[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	return figures
}

// hits returns how many statements all members answered out of L1 so far.
func (f *fleet) hits() (n int64) {
	for _, m := range f.members {
		n += m.Status().Outcomes["hit_l1"]
	}
	return n
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until a condition holds that others bring about.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
