package page

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgrecall/pgrecall/admin"
	"github.com/pgrecall/pgrecall/warm"
)

// figures are what a page shows. change alters them between two looks.
type figures struct {
	mu      sync.Mutex
	status  admin.Status
	ready   error
	traffic admin.Traffic
	tables  []admin.RuledTable
	clients []admin.Client
	reads   []admin.Uncached
	sample  admin.Sample
	paused  bool
	flushed []admin.Selection
	allowed []uint64
}

func (f *figures) change(alter func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	alter()
}

func locked[T any](f *figures, what func() T) T {
	f.mu.Lock()
	defer f.mu.Unlock()
	return what()
}

func (f *figures) Status() admin.Status {
	return locked(f, func() admin.Status {
		s := f.status
		s.Now = time.Now()
		if f.paused {
			s.Cache = "paused"
		}
		return s
	})
}
func (f *figures) Ready() error { return locked(f, func() error { return f.ready }) }
func (f *figures) Flush(_ context.Context, what admin.Selection) (admin.Flushed, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if what.Tenant != "" {
		return admin.Flushed{}, errors.New("cache.l2.tenant is none")
	}
	f.flushed = append(f.flushed, what)
	return admin.Flushed{L1: 5}, nil
}
func (f *figures) Allow(_ context.Context, fingerprint uint64) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.allowed = append(f.allowed, fingerprint)
	f.status.Doubts = []admin.Doubt{}
	return 1
}
func (f *figures) Uncached(n int) []admin.Uncached {
	return locked(f, func() []admin.Uncached { return append([]admin.Uncached{}, f.reads[:min(n, len(f.reads))]...) })
}
func (f *figures) Traffic() admin.Traffic {
	return locked(f, func() admin.Traffic { return f.traffic })
}
func (f *figures) Hot(int) ([]warm.Query, bool) { return nil, false }
func (f *figures) Sample() admin.Sample         { return locked(f, func() admin.Sample { return f.sample }) }
func (f *figures) Tables(n int) ([]admin.RuledTable, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]admin.RuledTable{}, f.tables[:min(n, len(f.tables))]...), len(f.tables)
}
func (f *figures) Clients() []admin.Client {
	return locked(f, func() []admin.Client { return append([]admin.Client{}, f.clients...) })
}
func (f *figures) Explain(_ context.Context, q admin.Question) (any, error) {
	return map[string]any{"verdict": "bypass", "reason": "volatile_function", "detail": q.SQL, "database": q.Database}, nil
}
func (f *figures) Pause()       { f.change(func() { f.paused = true }) }
func (f *figures) Resume()      { f.change(func() { f.paused = false }) }
func (f *figures) Paused() bool { return locked(f, func() bool { return f.paused }) }

// none are the figures of a pgrecall that has done nothing.
func none() *figures {
	return &figures{
		status: admin.Status{Version: "v1", Upstream: "db:5432", Listen: []string{"127.0.0.1:6432"}, Started: time.Now(), Cache: "on",
			Statements: map[string]uint64{}, Bypasses: map[string]uint64{}, Invalidations: map[string]uint64{}, Verifications: map[string]uint64{},
			Doubts: []admin.Doubt{}, Stopped: []admin.Stopped{}, Tiers: []admin.Tier{{Name: "l1", LimitBytes: 256 << 20}}},
		traffic: admin.Traffic{Statements: []admin.Statement{}, Tables: []admin.Table{}, Rules: []admin.Rule{}},
	}
}

// many are the figures of a pgrecall with n shapes, tables, connections and uncached reads, of a fleet, with everything that a page can show.
func many(n int) *figures {
	f := none()
	now := time.Now()
	s := &f.status
	s.Started = now.Add(-26 * time.Hour)
	s.Statements = map[string]uint64{"hit_l1": 5_400_321, "hit_l2": 230_000, "miss": 310_222, "bypass": 120_444, "write": 88_123, "other": 12}
	s.Bypasses = map[string]uint64{"volatile_function": 80_000, "transaction_wrote": 30_444, "directive_off": 10_000}
	s.Invalidations = map[string]uint64{"in_band": 80_021, "bus": 2_301, "ddl": 4, "admin": 1}
	s.Verifications = map[string]uint64{"same": 5_021, "different": 1, "inconclusive": 12}
	s.UpstreamSecondsSaved, s.ClientConnections = 45_321.5, n
	s.Tiers = []admin.Tier{{Name: "l1", Entries: 120_034, Bytes: 201 << 20, LimitBytes: 256 << 20, Evictions: map[string]uint64{"size": 1_234, "expired": 88_034}}}
	s.L2 = &admin.L2{Up: false, Opened: 2, LastError: "dial tcp 10.0.0.9:6379: connection refused", Hits: 230_000, Misses: 40_000, Stale: 21, Errors: 7}
	s.Fleet = &admin.Fleet{Live: true, Member: true, Members: 3}
	s.Doubts = []admin.Doubt{{Fingerprint: "00000000000000ff", Tables: "public.account", Since: now.Add(-time.Hour)}}
	worth := admin.Worth{Origin: .0021, Miss: .0024, Hit: .00003, HitRate: .93, BreakEven: .13, Pays: true}
	loses := admin.Worth{Origin: .0001, Miss: .0002, Hit: .00003, HitRate: .21, BreakEven: .59}
	s.Stopped = []admin.Stopped{{Fingerprint: "0000000000000abc", Database: "shop", Query: "SELECT * FROM visit WHERE id = $1", Since: now, Until: now.Add(10 * time.Minute), Worth: loses}}
	for i := range n {
		fingerprint := fmt.Sprintf("%016x", 7919*(i+1))
		share := float64(n-i) / float64(n)
		counts := admin.Counts{Hits: int64(90_000 * share), Misses: int64(1 + 4_000*share), Bypasses: int64(i % 7), HitRate: .957, SecondsSaved: 812 * share, Seconds: 40 * share}
		query := fmt.Sprintf("SELECT o.id, o.placed, c.name FROM orders_%d o JOIN customer c ON c.id = o.customer WHERE o.id = $1", i)
		if i%5 == 0 {
			query += " AND o.placed > now() - interval '1 day' AND EXISTS (SELECT FROM line l WHERE l.order_id = o.id AND l.price > $2) ORDER BY o.placed DESC, o.id LIMIT $3"
		}
		statement := admin.Statement{Fingerprint: fingerprint, Database: "shop", Query: query, Tables: []string{fmt.Sprintf("public.orders_%d", i), "public.customer"}, Rule: "orders", Last: now, Counts: counts}
		switch i % 3 {
		case 0:
			statement.Worth = &worth
		case 1:
			statement.Worth = &loses
		}
		f.traffic.Statements = append(f.traffic.Statements, statement)
		f.tables = append(f.tables, admin.RuledTable{Table: admin.Table{Database: "shop", Name: fmt.Sprintf("public.orders_%d", i), Counts: counts}, Known: true, Rule: "orders",
			Cached: i%4 != 3, TTLSeconds: 60, Consistency: "strict"})
		f.clients = append(f.clients, admin.Client{PID: uint32(1000 + i), Role: "shop", Database: "shop", Address: fmt.Sprintf("10.0.%d.%d:40022", i/250, i%250), State: "idle", Connected: now.Add(-time.Duration(i) * time.Second)})
		f.reads = append(f.reads, admin.Uncached{Fingerprint: fingerprint, Database: "shop", Query: query, Reason: "volatile_function", Detail: "nextval",
			Meaning: "It calls a function whose result may differ each time.", Change: "Declare the function, if it is not so.", Count: int64(n - i), Seconds: 12.5 * share, MaxSeconds: .25})
	}
	f.tables[0].Partly = []string{"mine"}
	bounds := []float64{.00001, .000025, .00005, .0001, .001, .01, .1}
	f.sample = admin.Sample{Cached: admin.Latencies{Bounds: bounds, Counts: make([]uint64, 8)}, Forwarded: admin.Latencies{Bounds: bounds, Counts: make([]uint64, 8)}}
	return f
}

// load counts some more statements.
func (f *figures) load(turn int) {
	f.change(func() {
		s := &f.sample
		s.Hits += int64(900 + turn*37%200)
		s.Misses += int64(60 + turn*17%40)
		s.Writes += 12
		s.Cached.Counts = append([]uint64{}, s.Cached.Counts...)
		s.Forwarded.Counts = append([]uint64{}, s.Forwarded.Counts...)
		s.Cached.Counts[1] += 500
		s.Cached.Counts[2+turn%3] += 20
		s.Forwarded.Counts[4] += 60
		s.Forwarded.Counts[5+turn%2] += 3
	})
}

// serve serves an admin server with these figures; it returns its address and what takes it away.
func serve(t *testing.T, f *figures, token string) (address string, stop func()) {
	t.Helper()
	return serveAt(t, f, token, "127.0.0.1:0")
}

func serveAt(t *testing.T, f *figures, token, listen string) (address string, stop func()) {
	t.Helper()
	server, err := admin.NewServer(admin.Options{Proxy: f, Gatherer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler), Token: token, Interval: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			ctx, cancel := context.WithCancel(context.Background())
			cancel() // requests that are under way are cut off
			_ = server.Shutdown(ctx)
			if err := <-served; err != nil && !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return l.Addr().String(), stop
}
