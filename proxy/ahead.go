package proxy

import (
	"fmt"
	"slices"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/wire"
)

// A pipeline wants many results before its Sync, and a round trip to L2 for each would cost more than the server, which answers all of them in one. So once
// one result of a cycle has come from there, those that the client has already sent Bind messages for are asked for together with the next.

// Bounds of what is asked for together: what comes of it is to be small beside the time that L2 has for an answer.
const (
	aheadMost  = 64
	aheadBytes = 256 << 10 // as far as the size of the last one tells
)

// ahead is what a cycle knows of L2 already.
type ahead struct {
	looking bool // the message in hand is a Bind of the held cycle
	size    int  // in bytes, of the last value that came from there in this cycle; 0 for none
	values  []aheadValue
}

// aheadValue is what was under a name at a time, by cache.Monotonic.
type aheadValue struct {
	name string
	cache.Value
	at int64
}

func (a *ahead) reset() {
	clear(a.values)
	*a = ahead{values: a.values[:0]}
}

// take removes what is known of a name and returns it.
func (a *ahead) take(name string) (v aheadValue, ok bool) {
	i := slices.IndexFunc(a.values, func(v aheadValue) bool { return v.name == name })
	if i < 0 {
		return v, false
	}
	v = a.values[i]
	a.values = slices.Delete(a.values, i, i+1)
	return v, true
}

// readShared returns what L2 has under a name, as of now or of a moment ago in the same cycle: an entry does not change, and whether it may be
// served is looked at afterwards.
func (s *session) readShared(name string) (aheadValue, error) {
	a := &s.frontend.cycle.ahead
	v, ok := a.take(name)
	if !ok {
		names := []string{name}
		if a.looking && a.size > 0 {
			names = s.lookAhead(names, min(aheadMost, 1+aheadBytes/a.size))
		}
		at := cache.Monotonic()
		values, err := s.srv.shared.Store.Get(s.srv.ctx, names...)
		if err == nil && len(values) != len(names) {
			err = fmt.Errorf("%d values for %d names", len(values), len(names))
		}
		if err != nil {
			return v, err
		}
		v = aheadValue{name, values[0], at}
		for i := 1; i < len(values); i++ {
			a.values = append(a.values, aheadValue{names[i], values[i], at})
		}
	}
	if a.looking {
		a.size = len(v.Bytes)
	}
	return v, nil
}

// lookAhead appends the names of results that the messages behind the one in hand ask for, up to so many names. It stops at what is not clear before the
// messages are handled in their order.
func (s *session) lookAhead(names []string, most int) []string {
	f := &s.frontend
	tenant, known := s.tenant()
	if !known {
		return names
	}
	declared := map[string]*prepared{}
	rest := f.in.buf[f.in.pos:f.in.end]
	for first := true; len(names) < most; first = false {
		typ, size, ok := wire.Header(rest)
		if !ok || size < wire.HeaderSize || size > len(rest) {
			break
		}
		message := rest[:size]
		rest = rest[size:]
		if first {
			continue // in hand
		}
		scan := wire.Scan(message[wire.HeaderSize:])
		switch typ {
		case wire.Parse:
			name, text := string(scan.Name()), scan.String()
			p := s.newPrepared([]byte(name), text, scan.Rest())
			if p.scope = f.scope; !scan.Ok() || name != "" && f.find([]byte(name)) != nil {
				return names
			}
			declared[name] = p
		case wire.Bind:
			scan.Name()
			statement := scan.Name()
			p := declared[string(statement)]
			if p == nil {
				p = f.find(statement)
			}
			tail := scan.Rest()
			if !scan.Ok() || p == nil {
				return names
			}
			key, reason := s.bindKey(p, tail)
			if reason != cachepolicy.ReasonNone || s.srv.L1.Get(key) != nil {
				continue
			}
			if name := s.srv.shared.name(s.planOf(p), tenant, key); !slices.Contains(names, name) {
				names = append(names, name)
			}
		case wire.Describe, wire.Execute:
		default:
			return names
		}
	}
	return names
}
