package proxy

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Custom settings (app.tenant) are in no list that the server shows. Those whose value can decide an answer are watched, database by
// database: policies, views and statements name them to current_setting. Keys of statements that depend on one hold the values of all.

// approximateNames are settings of extensions whose index scans return more or fewer rows by them, through operators that call themselves
// immutable. They can be set before the extension's library is loaded, and pg_settings does not show them until then: the probe asks for each.
const approximateNames = "diskann.query_rescore,diskann.query_search_list_size,hnsw.ef_search,hnsw.iterative_scan,hnsw.max_scan_tuples,hnsw.scan_mem_multiplier," +
	"ivfflat.iterative_scan,ivfflat.max_probes,ivfflat.probes,vchordrq.epsilon,vchordrq.probes"

// watchLimit bounds the settings that are watched in a database. Statements that depend on further ones are not cached.
const watchLimit = 100

// watched are the custom settings that are watched in a database. The list only grows; each is immutable.
type watched struct {
	names []string
	array string // as a text[] value
}

type watchlist struct {
	mu        sync.Mutex
	now       atomic.Pointer[watched]
	dependent atomic.Bool // a statement that depends on one has been seen
}

// names returns the list.
func (l *watchlist) current() *watched {
	if w := l.now.Load(); w != nil {
		return w
	}
	return l.add(nil)
}

// add watches more settings, up to the limit, and returns the list.
func (l *watchlist) add(names []string) *watched {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.now.Load()
	if old == nil {
		old = &watched{}
	}
	all := slices.Clone(old.names)
	for _, name := range names {
		if !slices.Contains(all, name) && len(all) < watchLimit {
			all = append(all, name)
		}
	}
	if len(all) == len(old.names) && old.array != "" {
		return old
	}
	slices.Sort(all)
	w := &watched{names: all, array: "{" + strings.Join(all, ",") + "}"} // names of this form need no quotes: cachepolicy.SettingInKey
	l.now.Store(w)
	return w
}

// index returns the place of a name, -1 where it is not watched.
func (w *watched) index(name string) int {
	if i, found := slices.BinarySearch(w.names, name); found {
		return i
	}
	return -1
}

// customs are the values that the watched settings have in a session. It is immutable.
type customs struct {
	of     *watched
	values []customValue
	digest [32]byte
}

// customValue is the value of a custom setting. One that was never set in the session is not the same as an empty one.
type customValue struct {
	set  bool
	text string // in the client's encoding
}

func newCustoms(of *watched, values []customValue) *customs {
	c := &customs{of: of, values: values}
	h := sha256.New()
	var n [9]byte
	write := func(set bool, s string) {
		n[8] = 0
		if set {
			n[8] = 1
		}
		binary.BigEndian.PutUint64(n[:8], uint64(len(s)))
		_, _ = h.Write(n[:])
		_, _ = h.Write([]byte(s))
	}
	for i, name := range of.names {
		write(true, name)
		write(values[i].set, values[i].text)
	}
	h.Sum(c.digest[:0])
	return c
}

// with returns the values after a change.
func (c *customs) with(changes []customChange) *customs {
	values := slices.Clone(c.values)
	for _, change := range changes {
		if i := c.of.index(change.name); i >= 0 {
			values[i] = customValue{true, change.value}
		}
	}
	return newCustoms(c.of, values)
}

// without returns the values after changes were undone: a setting that did not exist is empty then, it does not vanish.
func (c *customs) without(changes []customChange) *customs {
	values := slices.Clone(c.values)
	for _, change := range changes {
		if i := c.of.index(change.name); i >= 0 {
			values[i].set = true
		}
	}
	return newCustoms(c.of, values)
}

// customChange is a new value of a custom setting.
type customChange struct{ name, value string }

// parseTextArray reads the text form of a text[] of one dimension (manual, section 8.15.6); false when it is none.
func parseTextArray(text string) ([]customValue, bool) {
	if len(text) < 2 || text[0] != '{' || text[len(text)-1] != '}' {
		return nil, false
	}
	text = text[1 : len(text)-1]
	var values []customValue
	for text != "" {
		var b strings.Builder
		quoted := text[0] == '"'
		i := 0
		if quoted {
			for i = 1; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' && i+1 < len(text) {
					i++
				}
				b.WriteByte(text[i])
			}
			i++
		} else {
			for ; i < len(text) && text[i] != ','; i++ {
				b.WriteByte(text[i])
			}
		}
		values = append(values, customValue{set: quoted || b.String() != "NULL", text: b.String()})
		switch {
		case i == len(text):
			return values, true
		case i > len(text) || text[i] != ',' || i+1 == len(text):
			return nil, false
		}
		text = text[i+1:]
	}
	return values, true
}

// keyed returns the digest for the keys of statements that depend on custom settings.
func (f *frontend) keyed() *[32]byte {
	if f.tenantScope != f.scope || f.tenantCustoms != f.customs {
		h := sha256.New()
		_, _ = h.Write([]byte("custom settings"))
		_, _ = h.Write(f.scope.identity[:]) // a custom setting that is read may be one of pgrecall's own
		_, _ = h.Write(f.customs.digest[:])
		h.Sum(f.tenantDigest[:0])
		f.tenantScope, f.tenantCustoms = f.scope, f.customs
	}
	return &f.tenantDigest
}

// digestFor returns the digest that the keys of a plan's answers are made with, nil while a setting that they depend on is not known.
func (s *session) digestFor(p *plan) *[32]byte {
	f := &s.frontend
	if len(p.decision.Settings) == 0 {
		return &f.scope.Digest
	}
	if f.customs == nil || f.customs.of != f.database.watch.current() {
		return nil
	}
	for _, name := range p.decision.Settings {
		if f.customs.of.index(name) < 0 {
			return nil
		}
	}
	return f.keyed()
}
