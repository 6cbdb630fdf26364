package linear

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

func TestCheck(t *testing.T) {
	read := func(value, call, finish int64) operation {
		return operation{value: value, call: call, finish: finish, outcome: done}
	}
	write := func(o outcome, value, call, finish int64) operation {
		return operation{write: true, value: value, call: call, finish: finish, outcome: o}
	}
	for name, c := range map[string]struct {
		history []operation
		want    porcupine.CheckResult
	}{
		"nothing":                            {nil, porcupine.Ok},
		"the initial value":                  {[]operation{read(0, 1, 2)}, porcupine.Ok},
		"old after acknowledged":             {[]operation{write(done, 1, 1, 2), read(0, 3, 4)}, porcupine.Illegal},
		"old while the write runs":           {[]operation{write(done, 1, 1, 5), read(0, 3, 4)}, porcupine.Ok},
		"old after new":                      {[]operation{write(done, 1, 1, 9), read(1, 2, 3), read(0, 4, 5)}, porcupine.Illegal},
		"old beside new":                     {[]operation{write(done, 1, 1, 9), read(1, 2, 5), read(0, 4, 6)}, porcupine.Ok},
		"unknown, never seen":                {[]operation{write(unknown, 1, 1, 2), read(0, 3, 4)}, porcupine.Ok},
		"unknown, seen late":                 {[]operation{write(unknown, 1, 1, 2), read(0, 3, 4), read(1, 5, 6)}, porcupine.Ok},
		"unknown, seen and gone":             {[]operation{write(unknown, 1, 1, 2), read(1, 3, 4), read(0, 5, 6)}, porcupine.Illegal},
		"unknown, over a later one":          {[]operation{write(unknown, 1, 1, 2), write(done, 2, 3, 4), read(1, 5, 6)}, porcupine.Ok},
		"unknown, over a later one and back": {[]operation{write(unknown, 1, 1, 2), write(done, 2, 3, 4), read(1, 5, 6), read(2, 7, 8)}, porcupine.Illegal},
		"rolled back, read":                  {[]operation{write(never, 1, 1, 2), read(1, 3, 4)}, porcupine.Illegal},
		"rolled back":                        {[]operation{write(never, 1, 1, 2), read(0, 3, 4)}, porcupine.Ok},
		"a read without an answer":           {[]operation{{call: 1, finish: 2, value: 7}}, porcupine.Ok},
		"seen before it was written":         {[]operation{read(1, 1, 2), write(unknown, 1, 3, 4)}, porcupine.Illegal},
	} {
		t.Run(name, func(t *testing.T) {
			if got := check(0, c.history, time.Minute); got.CheckResult != c.want {
				t.Errorf("%s, want %s", got.CheckResult, c.want)
			}
		})
	}
}

func TestStaleNamesTheRead(t *testing.T) {
	history := []operation{
		{write: true, value: 1, call: 1, finish: 2, outcome: done}, {write: true, value: 2, call: 3, finish: 4, outcome: unknown},
		{value: 1, call: 5, finish: 6, outcome: done}, {value: 2, call: 7, finish: 8, outcome: done}, {value: 1, call: 9, finish: 10, outcome: done},
	}
	read, newer := stale(0, history)
	if read == nil || newer == nil || read.call != 9 || newer.call != 7 {
		t.Errorf("%v after %v", read, newer)
	}
}
