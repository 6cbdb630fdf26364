package bus

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestRolledBackLog lets Redis forget the last events under the same run id, as one does that a failover made of a replica and that may not be
// asked for its run id. The numbers of the events that follow were others' before: who acknowledged those has not seen these.
func TestRolledBackLog(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3)
	ctx := t.Context()
	writer, reader := f.all[0], f.all[1]
	for round := range 4 {
		restore := keep(t, f)
		for range 5 {
			writer.Release(writer.fence(1), true)
		}
		end := writer.at()
		for _, p := range f.all {
			p.await("all have read the log", func() bool { return p.at().Seq >= end.Seq })
		}
		restore(0)
		oid := uint32(100 + round)
		waiting, cancel := context.WithTimeout(ctx, patience)
		token, ok := writer.Fence(waiting, Tags{Database: "db", Relations: []uint32{oid}}, true)
		cancel()
		if !ok {
			t.Fatalf("a write is stuck: %+v", writer.Stats())
		}
		if reader.Live() && !reader.fenced(oid) {
			t.Errorf("round %d: the write may be sent, and another member, which has not seen its fence, answers out of its cache", round)
		}
		writer.Release(token, true)
		for _, p := range f.all {
			p.awaitLive()
		}
	}
}

// TestRolledBackBeyondTheJoins: Redis forgets that those are members who have seen what it forgot. They join anew, and what was cached before the
// events that are gone is not fresh.
func TestRolledBackBeyondTheJoins(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]int{"the log is shorter than before": 0, "it has grown again": 40} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, 2)
			restore := keep(t, f)
			at := f.all[0].at()
			for _, p := range f.all {
				p.mu.Lock()
				p.lose(p.member, "it joins anew")
				p.mu.Unlock()
				p.awaitLive()
			}
			f.all[0].Release(f.all[0].fence(1), true)
			for _, p := range f.all {
				p.await("the change and its end are known", func() bool {
					return !p.fresh(at, 1) && p.fresh(at, 2) && !p.fenced(1) && f.all[0].Stats().Queued == 0 && p.at() == f.all[0].at()
				})
			}
			for _, p := range f.all { // a member would see at once that the log has a fork
				p.link.set(true)
				p.mu.Lock()
				p.lose(p.member, "it is cut off")
				p.mu.Unlock()
			}
			restore(more)
			for _, p := range f.all {
				p.link.set(false)
			}
			for _, p := range f.all {
				p.await("it is a member once more", func() bool { return p.Stats().Member })
				p.awaitLive()
				if p.fresh(at, 1) {
					t.Error("what changed in an event that is gone is fresh")
				}
			}
		})
	}
}

// TestRolledBackIntoAnEpochThatIsOver: the log of before is whole, and knows nothing of what came after it. Nor does a member that was cut off all
// the time, and could vouch for that log.
func TestRolledBackIntoAnEpochThatIsOver(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3)
	present, absent := f.all[:2], f.all[2]
	absent.link.set(true)
	restore, at := keep(t, f), f.all[0].at()
	flushAll(t, f)
	for _, p := range present {
		p.await("it is a member of the new epoch", func() bool { s := p.Stats(); return s.Member && s.Epochs == 1 })
	}
	f.all[0].Release(f.all[0].fence(1), true)
	restore(0)
	absent.link.set(false)
	for _, p := range present {
		p.await("it is a member once more", func() bool { s := p.Stats(); return s.Member && s.Lost > 1 })
		p.awaitLive()
		if p.fresh(at, 1) {
			t.Error("what changed in another epoch is fresh")
		}
	}
}

// keep returns how to bring back the log as it is now, with so many other events after it.
func keep(t *testing.T, f *fleet) (restore func(more int)) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: f.redis.Address()})
	t.Cleanup(func() { _ = client.Close() })
	keys, dumps := f.all[0].keys, []string{}
	for _, key := range keys {
		dump, err := client.Dump(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		dumps = append(dumps, dump)
	}
	return func(more int) {
		aside := []string{"aside:{test}:fleet", "aside:{test}:log"}
		_, err := client.TxPipelined(t.Context(), func(p redis.Pipeliner) error {
			for i, key := range aside {
				p.RestoreReplace(t.Context(), key, time.Hour, dumps[i])
			}
			return nil
		})
		if err == nil && more > 0 {
			err = grow(t.Context(), client, aside, more)
		}
		if err == nil {
			_, err = client.TxPipelined(t.Context(), func(p redis.Pipeliner) error {
				for i, key := range keys {
					p.Rename(t.Context(), aside[i], key)
				}
				return nil
			})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// grow appends events in the name of a member that Redis knows.
func grow(ctx context.Context, client *redis.Client, keys []string, n int) error {
	all, err := client.HGetAll(ctx, keys[0]).Result()
	if err != nil {
		return err
	}
	for key := range all {
		id, member := strings.CutPrefix(key, "m:")
		if !member {
			continue
		}
		e := event{kind: kindJoin, process: processOf(id)}
		for range n {
			if err := newScripts().append.Run(ctx, client, keys, all["epoch"], id, random(), 1000, "", "", e.encode()).Err(); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.New("Redis knows no member")
}

// TestFenceOfAnEpochThatIsOver: a fence that ended while its process was no member is in no log. It comes down where it was seen when the process is
// back.
func TestFenceOfAnEpochThatIsOver(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	writer, other := f.all[0], f.all[1]
	over, under := writer.fence(7), writer.fence(8)
	other.await("the fences are seen", func() bool { return other.fenced(7) && other.fenced(8) })
	writer.link.set(true)
	flushAll(t, f)
	other.await("it is a member of the new epoch", func() bool { s := other.Stats(); return s.Member && s.Epochs > 0 })
	if !other.fenced(7) {
		t.Error("a fence came down whose process was not heard")
	}
	writer.Release(over, true)
	writer.link.set(false)
	for _, p := range f.all {
		p.awaitLive()
	}
	other.await("the fence is down", func() bool { return !other.fenced(7) })
	if !other.fenced(8) {
		t.Error("a fence came down whose write is under way")
	}
	writer.Release(under, true)
	other.await("the other one is down", func() bool { return !other.fenced(8) })
}

// TestEndOfAFenceOfTheDeadIsLost: who asked for it asks again.
func TestEndOfAFenceOfTheDeadIsLost(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	dead, other := f.all[0], f.all[1]
	f.change(func(r *register) { r.backends[7] = true })
	token := dead.fence(7)
	dead.kill(true)
	other.await("it is gone", func() bool { return other.Stats().Members == 0 })
	other.mu.Lock()
	other.remote[token.name()].asked = true // and Redis lost the event with all others
	other.mu.Unlock()
	f.change(func(r *register) { delete(r.backends, 7) })
	flushAll(t, f)
	other.await("the fence is down", func() bool { return !other.fenced(7) })
	other.awaitLive()
}

// flushAll makes Redis forget everything.
func flushAll(t *testing.T, f *fleet) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: f.redis.Address()})
	defer client.Close()
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}

// TestJoinThatComesLate: the network holds a call back that the process has given up, and brings it when a later one has been answered. The fences that
// were put up since then stay up.
func TestJoinThatComesLate(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	one, other := f.all[0], f.all[1]
	_, late, _, _ := one.announcement()
	one.mu.Lock()
	one.lose(one.member, "it tries once more")
	one.mu.Unlock()
	one.awaitLive()
	token := one.fence(7)
	if err := one.scripts.join.Run(t.Context(), one.Redis, one.keys, late...).Err(); err != nil {
		t.Fatal(err)
	}
	end, err := one.client.HGet(t.Context(), one.keys[0], "seq").Uint64()
	if err != nil {
		t.Fatal(err)
	}
	other.await("the log is read", func() bool { return other.at().Seq >= end })
	if !other.fenced(7) {
		t.Error("the fence of a write that is under way came down")
	}
	one.Release(token, true)
}

// TestRolledBackBehindTheDead: Redis brings back the state in which a member was last heard, whom the others have taken for dead since. It must not write
// before they have seen it.
func TestRolledBackBehindTheDead(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	one, other := f.all[0], f.all[1]
	one.Release(one.fence(1), true)
	f.change(func(r *register) { delete(r.living, one.Process()) })
	other.await("the proof of life is missed", func() bool {
		other.mu.Lock()
		defer other.mu.Unlock()
		o := other.memberOf(one.Process())
		return o != nil && o.dead
	})
	same := func() (beats [2]uint64) {
		one.mu.Lock()
		defer one.mu.Unlock()
		return [2]uint64{one.member.beats, one.memberOf(other.Process()).beat}
	}
	other.mu.Lock()
	name := "m:" + other.member.id
	other.mu.Unlock()
	var restore func(int)
	one.await("a moment between two beats", func() bool {
		before := same()
		restore = keep(t, f)
		fields, err := other.client.HGetAll(t.Context(), one.keys[0]).Result()
		if err != nil {
			t.Fatal(err)
		}
		one.link.set(true)
		if at := fields[name]; before == same() && strings.HasPrefix(at, strconv.FormatUint(before[1], 10)+" ") {
			return true
		}
		one.link.set(false)
		return false
	})
	other.await("it is gone", func() bool { s := other.Stats(); return s.Members == 0 && s.Live })
	other.link.set(true) // it does not hear of what comes
	restore(0)
	one.link.set(false)
	ctx, cancel := context.WithTimeout(t.Context(), 2*f.lease)
	defer cancel()
	token, ok := one.Fence(ctx, Tags{Database: "db", Relations: []uint32{7}}, true)
	if ok && other.Live() {
		t.Error("a write was sent, and another process, which takes its writer for dead, is certain of everything")
	}
	one.Release(token, true)
}
