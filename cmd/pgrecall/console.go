package main

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/pgrecall/pgrecall/admin"
	"github.com/pgrecall/pgrecall/admin/console"
	"github.com/pgrecall/pgrecall/config"
	"github.com/pgrecall/pgrecall/proxy"
)

// maintenance is the database in which clients of the console are authenticated where upstream names none.
const maintenance = "postgres"

// newConsole prepares the console. It is on while the configuration that was read last names roles for it.
func newConsole(i *instance) (*proxy.Console, error) {
	server, err := console.NewServer(console.Options{Proxy: operator{i}, Logger: i.logger})
	if err != nil {
		return nil, err
	}
	database := i.upstream.config.Database
	if database == "" {
		database = maintenance
	}
	return &proxy.Console{
		Maintenance: database,
		Takes: func(name string) bool {
			c := i.current.Load()
			return len(c.ConsoleRoles) > 0 && name == c.ConsoleDatabase
		},
		Allows: func(role string) bool { return slices.Contains(i.current.Load().ConsoleRoles, role) },
		Serve: func(c *proxy.ConsoleClient) {
			i.logger.Info("console opened", "role", c.Role, "client", c.Address)
			server.Serve(c, c.Role)
		},
	}, nil
}

// mostUncached is more than there ever are.
const mostUncached = 10_000

// operator is what the console shows and acts on.
type operator struct{ *instance }

var _ console.Proxy = operator{}

// Reload does what SIGHUP does.
func (o operator) Reload() ([]string, error) {
	r := o.reloader.Load()
	if r == nil {
		return nil, console.ErrUnavailable
	}
	return r.reload()
}

// Settings returns the configuration without its secrets.
func (o operator) Settings() []console.Setting {
	var list []console.Setting
	for _, s := range config.Show(o.config, o.current.Load()) {
		list = append(list, console.Setting{Name: s.Path, Value: s.Value, Default: s.Default, Reload: s.Reload, Pending: s.Pending})
	}
	return list
}

// Clients returns the connections.
func (o operator) Clients() []console.Client {
	var list []console.Client
	for _, c := range o.engine.Clients() {
		list = append(list, console.Client{PID: int64(c.PID), Role: c.Role, Database: c.Database, Address: c.Address, Encrypted: c.Encrypted,
			State: c.State, Connected: c.Connected})
	}
	return list
}

// Tiers returns L1 and, where there is one, L2, of which the store keeps the number of entries to itself.
func (o operator) Tiers() []console.Tier {
	status := o.engine.Status()
	l1 := status.L1
	evicted := uint64(0)
	for _, n := range l1.Evictions {
		evicted += n
	}
	list := []console.Tier{{Name: "l1", Up: true, Entries: counted(l1.Entries), Bytes: counted(l1.Bytes), LimitBytes: counted(l1.LimitBytes),
		Evictions: counted(evicted), Hits: counted(status.Outcomes["hit_l1"]), Misses: counted(status.Outcomes["miss"] + status.Outcomes["hit_l2"])}}
	if l2 := status.L2; l2 != nil {
		list = append(list, console.Tier{Name: "l2", Up: l2.Store.Up, Hits: counted(l2.Hits), Misses: counted(l2.Misses)})
	}
	return list
}

func counted[T int | int64 | uint64](n T) *int64 {
	v := int64(n)
	return &v
}

// Tables returns the tables of the databases in use, those first that statements used.
func (o operator) Tables(n int) []console.Table {
	var list []console.Table
	tables, _ := o.instance.Tables(math.MaxInt)
	for i := range tables {
		t := &tables[i]
		switch {
		case !t.Known:
			continue
		case len(list) == n:
			return list
		}
		counts := consoleTraffic(&t.Counts)
		for _, of := range t.Invalidations {
			counts.Invalidations += of
		}
		list = append(list, console.Table{Database: t.Database, Name: t.Name, Rule: t.Rule, Partly: strings.Join(t.Partly, ", "), Cached: t.Cached,
			TTL: time.Duration(t.TTLSeconds * float64(time.Second)), Consistency: t.Consistency, Traffic: counts})
	}
	return list
}

func consoleTraffic(c *admin.Counts) *console.Traffic {
	return &console.Traffic{Hits: c.Hits + c.SharedHits, Misses: c.Misses, Bypasses: c.Bypasses, Writes: c.Writes}
}

// Statements returns the shapes that took, or would have taken, the most of the upstream's time, with the reason why most of that was not cached.
func (o operator) Statements(n int) []console.Statement {
	type key struct{ database, fingerprint string }
	var list []console.Statement
	at := map[key]int{}
	for _, s := range o.Traffic().Statements {
		at[key{s.Database, s.Fingerprint}] = len(list)
		saved := s.SecondsSaved
		list = append(list, console.Statement{Fingerprint: s.Fingerprint, Database: s.Database, Query: s.Query, Tables: strings.Join(s.Tables, ", "), Rule: s.Rule,
			Traffic: consoleTraffic(&s.Counts), SecondsSaved: &saved, Seconds: s.Seconds, Last: s.Last, Worth: s.Worth})
	}
	for _, u := range o.engine.Uncached(mostUncached) {
		i, known := at[key{u.Database, u.Fingerprint}]
		if !known {
			i = len(list)
			at[key{u.Database, u.Fingerprint}] = i
			list = append(list, console.Statement{Fingerprint: u.Fingerprint, Database: u.Database, Query: u.Query, Bypassed: counted(u.Count), Seconds: u.Seconds, Last: u.Last})
		}
		if s := &list[i]; s.Reason == "" { // the costliest comes first
			s.Reason, s.Detail, s.MaxSeconds = string(u.Reason), u.Detail, &u.MaxSeconds
		}
	}
	slices.SortStableFunc(list, func(a, b console.Statement) int { return cmp.Compare(consoleTime(&b), consoleTime(&a)) })
	return list[:min(n, len(list))]
}

// consoleTime is what a shape took, or would have taken, of the upstream's time, in seconds.
func consoleTime(s *console.Statement) float64 {
	if s.SecondsSaved == nil {
		return s.Seconds
	}
	return s.Seconds + *s.SecondsSaved
}

// Explain tells what becomes of a statement, by the policy in force.
func (o operator) Explain(ctx context.Context, q console.Question) ([]console.Item, error) {
	e, err := o.explain(ctx, admin.Question(q))
	if err != nil {
		return nil, err
	}
	var list []console.Item
	e.each(func(name, value string) {
		list = append(list, console.Item{Name: name, Value: value})
	})
	return list, nil
}
