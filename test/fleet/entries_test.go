package fleet

import (
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/cache/codec"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// forge is what somebody who can write into Redis does.
type forge struct {
	t      *testing.T
	fleet  *fleet
	client *goredis.Client
	first  *pgx.Conn // through the member that fills L2
	second *pgx.Conn // through the one that must not believe it
	query  string
	name   string // under which L2 keeps the query's result
	value  string
}

// names returns the names of all results in L2.
func (f *forge) names() map[string]bool {
	list, err := f.client.Keys(bounded(f.t), "pgrecall:*:v1:*").Result()
	check(f.t, err)
	names := make(map[string]bool, len(list))
	for _, name := range list {
		if !strings.HasSuffix(name, "~") { // not a lease
			names[name] = true
		}
	}
	return names
}

// fill lets a connection's member put a query's result into L2, and returns its name and value.
func (f *forge) fill(c *pgx.Conn, query string) (name, value string) {
	before := f.names()
	eventually(f.t, "the result is in L2", func() bool {
		f.fleet.value(c, query) // again, where the catalog was being read after a definition
		for n := range f.names() {
			if !before[n] {
				name = n
			}
		}
		return name != ""
	})
	value, err := f.client.Get(bounded(f.t), name).Result()
	check(f.t, err)
	return name, value
}

// put puts a value under the name of the query's result, for as long as a new one would stay there.
func (f *forge) put(value string) {
	check(f.t, f.client.Set(bounded(f.t), f.name, value, 60_000_000_000).Err())
}

// by lets another member, which has other keys, put the query's result in place of the first member's.
func (f *forge) by(member int) {
	c := f.fleet.connect(member)
	eventually(f.t, "the other member's result is in L2", func() bool {
		f.fleet.value(c, f.query)
		value, err := f.client.Get(bounded(f.t), f.name).Result()
		check(f.t, err)
		return value != f.value
	})
	check(f.t, c.Close(bounded(f.t)))
}

// forgery is one deceit, and the reason for which it must be refused: without keys and with them. Stale stands for what is a result, but can't be
// proved to be new enough.
type forgery struct {
	name         string
	plain, keyed string
	make         func(*forge)
}

const stale = "stale"

// Members beside the first two, which have keys of their own or none.
const (
	strangeKey = 2 + iota
	sameNumber
	noKey
)

func forgeries() []forgery {
	const checksum, authentication, unknown = "checksum", "authentication", "unknown_key"
	edit := func(at func(length int) int) func(*forge) {
		return func(f *forge) {
			b := []byte(f.value)
			b[at(len(b))] ^= 1
			f.put(string(b))
		}
	}
	return []forgery{
		{"edited in the middle", checksum, authentication, edit(func(n int) int { return n / 2 })},
		{"edited at the end", checksum, authentication, edit(func(n int) int { return n - 1 })},
		{"of a future version", "version", "version", edit(func(int) int { return 0 })},
		{"truncated", checksum, authentication, func(f *forge) { f.put(f.value[:len(f.value)-1]) }},
		{"truncated to its version", "malformed", "malformed", func(f *forge) { f.put(f.value[:1]) }},
		{"empty", "malformed", "malformed", func(f *forge) { f.put("") }},
		{"of another query", checksum, authentication, func(f *forge) {
			_, other := f.fill(f.first, strings.Replace(f.query, " FROM", " + 1000 FROM", 1))
			f.put(other)
		}},
		{"of another role", checksum, authentication, func(f *forge) {
			_, other := f.fill(f.fleet.connectAs(0, "other"), f.query)
			f.put(other)
		}},
		{"replayed after a write", stale, stale, func(f *forge) {
			f.fleet.exec(f.first, "UPDATE c0 SET n = n + 1")
			f.put(f.value)
		}},
		{"replayed after a write of the reader", stale, stale, func(f *forge) {
			f.fleet.exec(f.second, "UPDATE c0 SET n = n + 1")
			f.put(f.value)
		}},
		{"sealed with an unknown key", unknown, unknown, func(f *forge) { f.by(strangeKey) }},
		{"sealed with another key of the same number", unknown, authentication, func(f *forge) { f.by(sameNumber) }},
		{"without a seal", "", "not_sealed", func(f *forge) { f.by(noKey) }},
		{"of an earlier log", stale, stale, func(f *forge) { // the last: what was in Redis is gone
			check(f.t, f.client.FlushAll(bounded(f.t)).Err())
			for _, m := range f.fleet.members {
				eventually(f.t, "the fleet is another one", func() bool { return m.gathered(f.t)["pgrecall_fleet_epochs_total"] > 0 })
			}
			f.fleet.certain()
			f.put(f.value)
		}},
	}
}

func TestForgedEntriesAreNeverServed(t *testing.T) {
	for name, keys := range map[string][]codec.Secret{"plain": nil, "sealed": {codec.Generate(1), codec.Generate(2)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := pgtest.StartRedis(t)
			f := start(t, setup{level: cachepolicy.Strict, url: server.URL(), members: noKey + 1, keys: func(member int) []codec.Secret {
				switch member {
				case strangeKey:
					return []codec.Secret{codec.Generate(77)}
				case sameNumber:
					return []codec.Secret{codec.Generate(1)}
				case noKey:
					return nil
				}
				return keys
			}})
			direct := f.dial(f.upstream)
			client := goredis.NewClient(&goredis.Options{Addr: server.Address()})
			t.Cleanup(func() { _ = client.Close() })
			first, second := f.connect(0), f.connect(1)
			f.exec(first, "CREATE ROLE other LOGIN")
			f.exec(first, "GRANT SELECT ON c0 TO other")
			eventually(t, "the other member knows the new definitions", func() bool {
				before := f.members[1].Status().Outcomes["hit_l1"]
				f.value(second, "SELECT n FROM c0")
				return f.members[1].Status().Outcomes["hit_l1"] > before
			})
			for i, deceit := range forgeries() {
				reason := deceit.plain
				if keys != nil {
					reason = deceit.keyed
				}
				if reason == "" {
					continue // all have no seal
				}
				t.Run(deceit.name, func(t *testing.T) {
					f.t = t
					it := &forge{t: t, fleet: f, client: client, first: first, second: second,
						query: "SELECT n + " + strconv.Itoa(100*i) + " FROM c0"}
					it.name, it.value = it.fill(first, it.query)
					deceit.make(it)
					m := f.members[1]
					eventually(t, "the reader is certain of the fleet", func() bool { return m.Status().Fleet.Live })
					before := m.counted(t)
					want := f.value(direct, it.query)
					difference := map[string]float64{}
					eventually(t, "L2 is asked", func() bool { // not before the catalog is known again, after a definition
						if got := f.value(second, it.query); got != want {
							t.Fatalf("answered %d, want %d", got, want)
						}
						for k, n := range m.counted(t) {
							if n -= before[k]; n != 0 {
								difference[k] = n
							}
						}
						return len(difference) > 0
					})
					result := "refused"
					if reason == stale {
						result = stale
					} else if difference["pgrecall_l2_refused_total/"+reason] != 1 {
						t.Errorf("not refused as %s: %v", reason, difference)
					}
					if difference["pgrecall_l2_requests_total/"+result] != 1 || len(difference) > 2 {
						t.Errorf("not counted as %s: %v", result, difference)
					}
				})
			}
		})
	}
}

// counted returns the counters of lookups in L2, by name/label.
func (m *member) counted(t *testing.T) map[string]float64 {
	t.Helper()
	counts := map[string]float64{}
	for name, n := range m.gathered(t) {
		if strings.HasPrefix(name, "pgrecall_l2_requests_total/") || strings.HasPrefix(name, "pgrecall_l2_refused_total/") {
			counts[name] = n
		}
	}
	return counts
}
