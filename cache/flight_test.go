package cache

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const longBound = time.Hour

// TestFlightHasOneLeader lets many callers miss one key at the same moment, again and again, and
// lets no leader land before all have joined: there must be one leader each time (TRAPS 10: check
// and register must be one step).
func TestFlightHasOneLeader(t *testing.T) {
	const callers, rounds = 16, 1000
	flights := NewFlights(callers)
	for round := range rounds {
		var leaders atomic.Int32
		var joined, landed sync.WaitGroup
		start, want := make(chan struct{}), &Entry{}
		joined.Add(callers)
		for range callers {
			landed.Go(func() {
				<-start
				f, leader := flights.Join(Key{1})
				joined.Done()
				if leader {
					leaders.Add(1)
					joined.Wait()
					f.Finish(want)
				} else if e, ok := f.Wait(nil, longBound); e != want || !ok {
					t.Errorf("follower got %v, %v", e, ok)
				}
			})
		}
		close(start)
		landed.Wait()
		if n := leaders.Load(); n != 1 {
			t.Fatalf("round %d: %d leaders", round, n)
		}
	}
	if n := flights.Len(); n != 0 {
		t.Errorf("%d flights left", n)
	}
}

func TestFollowersGetTheLeadersEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flights := NewFlights(10)
		f, leader := flights.Join(Key{1})
		if !leader {
			t.Fatal("first to come does not lead")
		}
		want := &Entry{}
		for range 10 {
			follower, leads := flights.Join(Key{1})
			if leads {
				t.Fatal("a second leader")
			}
			go func() {
				if e, ok := follower.Wait(nil, longBound); e != want || !ok {
					t.Errorf("follower got %v, %v", e, ok)
				}
			}()
		}
		synctest.Wait() // all of them wait
		if other, leads := flights.Join(Key{2}); !leads {
			t.Error("a flight of another key")
		} else {
			other.Finish(nil)
		}
		f.Finish(want)
		f.Finish(nil) // deferred by the leader: does nothing
		if n := flights.Len(); n != 0 {
			t.Errorf("%d flights left", n)
		}
	})
}

// TestFailedLeaderIsSucceeded is TRAPS 10: a leader that failed or was cancelled wakes its
// followers with nothing, not with its error; one of them leads, the others follow that one.
func TestFailedLeaderIsSucceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flights := NewFlights(10)
		failed, _ := flights.Join(Key{1})
		want := &Entry{}
		var led, got atomic.Int32
		for range 8 {
			f, _ := flights.Join(Key{1})
			go func() {
				if e, ok := f.Wait(nil, longBound); e != nil || !ok {
					t.Errorf("follower of a failed leader got %v, %v", e, ok)
				}
				f, leader := flights.Join(Key{1})
				if leader {
					led.Add(1)
					time.Sleep(time.Second) // of the bubble: the others join meanwhile
					f.Finish(want)
					return
				}
				if e, ok := f.Wait(nil, longBound); e == want && ok {
					got.Add(1)
				}
			}()
		}
		synctest.Wait()
		failed.Finish(nil)
		time.Sleep(2 * time.Second)
		if led.Load() != 1 || got.Load() != 7 {
			t.Errorf("%d led and %d got the second entry", led.Load(), got.Load())
		}
	})
}

// TestLeaderThatPanics: a deferred Finish keeps a leader that dies from blocking its key.
func TestLeaderThatPanics(t *testing.T) {
	flights := NewFlights(10)
	const died = "died"
	func() {
		defer func() {
			if r := recover(); r != died {
				t.Errorf("recovered %v", r)
			}
		}()
		f, _ := flights.Join(Key{1})
		defer f.Finish(nil)
		panic(died)
	}()
	f, leader := flights.Join(Key{1})
	if !leader {
		t.Fatal("the key is blocked")
	}
	f.Finish(nil)
}

func TestFollowersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flights := NewFlights(2)
		leader, _ := flights.Join(Key{1})
		first, _ := flights.Join(Key{1})
		second, _ := flights.Join(Key{1})
		if f, leads := flights.Join(Key{1}); f != nil || leads {
			t.Fatal("a third follower of two")
		}
		// A follower that gives up makes room, whatever made it give up.
		if e, ok := first.Wait(nil, time.Second); e != nil || ok {
			t.Errorf("Wait past its bound: %v, %v", e, ok)
		}
		if first, _ = flights.Join(Key{1}); first == nil {
			t.Fatal("no room after a follower left at its bound")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if e, ok := second.Wait(ctx.Done(), longBound); e != nil || ok {
			t.Errorf("Wait after cancel: %v, %v", e, ok)
		}
		if second, _ = flights.Join(Key{1}); second == nil {
			t.Fatal("no room after a follower was cancelled")
		}
		leader.Finish(&Entry{})
		for _, f := range []*Flight{first, second} {
			if e, ok := f.Wait(nil, 0); e == nil || !ok {
				t.Error("an entry that is there is not worth a wait of zero")
			}
		}
	})
}

func TestNoFollowersAllowed(t *testing.T) {
	flights := NewFlights(-1)
	leader, _ := flights.Join(Key{1})
	if f, leads := flights.Join(Key{1}); f != nil || leads {
		t.Error("a follower where none is allowed")
	}
	leader.Finish(nil)
}

// BenchmarkFlight is what a miss pays when it is alone.
func BenchmarkFlight(b *testing.B) {
	flights := NewFlights(1000)
	b.ReportAllocs()
	var n atomic.Uint64
	b.RunParallel(func(pb *testing.PB) {
		key := Key{byte(n.Add(1))}
		for pb.Next() {
			f, _ := flights.Join(key)
			f.Finish(nil)
		}
	})
}

// TestLead: of callers that would not wait one leads; who waits gets what it brings.
func TestLead(t *testing.T) {
	flights := NewFlights(10)
	first := flights.Lead(Key{1})
	if first == nil || flights.Lead(Key{1}) != nil || flights.Lead(Key{2}) == nil {
		t.Fatal("not one leader for each key")
	}
	follower, leads := flights.Join(Key{1})
	if leads || follower != first {
		t.Fatal("a miss does not wait for the refresh")
	}
	entry := &Entry{}
	first.Finish(entry)
	if got, ok := follower.Wait(nil, time.Minute); got != entry || !ok {
		t.Errorf("%v, %v", got, ok)
	}
	if _, leads := flights.Join(Key{1}); !leads || flights.Lead(Key{1}) != nil {
		t.Error("a refresh does not see that there is a leader")
	}
}
