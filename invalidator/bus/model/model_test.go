package model

import "testing"

// The proxy that writes, and the one that does not.
const (
	first  = 1
	second = 2
)

// worlds are small enough for all their interleavings.
func worlds() map[string]Options {
	return map[string]Options{
		"nothing fails":               {Proxies: 2, Writes: 1, Readers: second, L2: true},
		"one dies":                    {Proxies: 2, Writes: 1, Readers: second, Crashes: 1},
		"one is cut off":              {Proxies: 2, Writes: 1, Readers: second, Cuts: 1},
		"one is cut off and dies":     {Proxies: 2, Writes: 1, Readers: second, Cuts: 1, Crashes: 1},
		"Redis loses its data":        {Proxies: 2, Writes: 1, Readers: second, Losses: 1},
		"one is not strict":           {Proxies: 2, Writes: 1, Readers: second, Lax: first},
		"nobody is there for a while": {Proxies: 3, Readers: 5, Late: 6, Crashes: 1, L2: true},
		"each client's own writes":    {Proxies: 2, Writes: 1, Readers: 1, L2: true, Session: true},
	}
}

// TestBeginning takes the first states only, so that the race detector, under which a search takes twenty times as long, has something to do.
func TestBeginning(t *testing.T) {
	for name, o := range worlds() {
		o.Limit = 2000
		if r := Explore(o); r.Violation != "" || r.Complete {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
