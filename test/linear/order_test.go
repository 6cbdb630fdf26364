package linear

import (
	"testing"
	"time"
)

// orderOf is an order in which the values 1, 2, ... were written to register 0, after 0.
func orderOf(values int) *order {
	o := newOrder()
	for place := range values + 1 {
		o.places[0][int64(place)] = place
		o.read[0] = append(o.read[0], 0)
	}
	return o
}

func TestOwnWrites(t *testing.T) {
	read := func(value, call int64, generation int64) operation {
		return operation{value: value, call: call, finish: call + 1, outcome: done, generation: generation}
	}
	write := func(value, call int64, o outcome) operation {
		return operation{write: true, value: value, call: call, finish: call + 1, outcome: o}
	}
	for name, c := range map[string]struct {
		history []operation
		want    int
	}{
		"the own one":                      {[]operation{write(2, 1, done), read(2, 3, 0)}, 0},
		"an older one":                     {[]operation{write(2, 1, done), read(1, 3, 0)}, 1},
		"somebody's newer one":             {[]operation{write(2, 1, done), read(3, 3, 0)}, 0},
		"older, then newer, then older":    {[]operation{read(1, 0, 0), write(2, 1, done), read(3, 3, 0), read(1, 5, 0)}, 1},
		"an older one before":              {[]operation{read(1, 1, 0), write(2, 3, done)}, 0},
		"of unknown outcome":               {[]operation{write(2, 1, unknown), read(1, 3, 0)}, 0},
		"over another pgrecall":            {[]operation{write(2, 1, done), read(1, 3, 2)}, 0},
		"the first of two own ones":        {[]operation{write(1, 1, done), write(2, 3, done), read(1, 5, 0)}, 1},
		"a value that never was":           {[]operation{read(7, 1, 0)}, 1},
		"back from somebody's, to the own": {[]operation{write(2, 1, done), read(3, 3, 0), read(2, 5, 0)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := orderOf(3).check(c.history, false); len(got) != c.want {
				t.Errorf("%d violations, want %d", len(got), c.want)
			}
		})
	}
}

func TestStaleness(t *testing.T) {
	o := orderOf(3)
	o.check([]operation{
		{write: true, value: 1, call: 10, finish: 20, outcome: done}, {value: 0, call: 25, finish: 26, outcome: done}, {value: 1, call: 30, finish: 31, outcome: done},
	}, true)
	o.check([]operation{{write: true, value: 3, call: 40, finish: 50, outcome: done}, {value: 1, call: 120, finish: 121, outcome: done}}, false)
	if got := o.staleness(true); len(got) != 1 || got[0] != 5*time.Nanosecond {
		t.Errorf("value 0 was read 5 ns after 1: %v", got)
	}
	if got := o.staleness(false); len(got) != 1 || got[0] != 70*time.Nanosecond {
		t.Errorf("value 1 was read 70 ns after 3: %v", got)
	}
}
