package bus

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/redis/go-redis/v9"
)

// readCount is how many events are read at a time.
const readCount = 1000

// join makes this process a member. It returns false when Redis has not answered.
//
// The order counts: the membership first, so that strict writes wait for this process; then what is known of the log and of the fences that are up;
// then everything cached is invalidated, since nobody waited before. The first beat is what makes others trust this member,
// so all that it did without the log is announced before that.
func (b *Bus) join(parent context.Context) bool {
	ctx, cancel := b.call(parent)
	defer cancel()
	id, arguments, tokens, isolations := b.announcement()
	sent := b.clock.now()
	list, err := b.scripts.join.Run(ctx, b.Redis, b.keys, arguments...).Slice()
	if err != nil {
		b.failed("join", err)
		return false
	}
	answered := b.clock.now()
	if len(list) == 4 {
		b.meet(ctx, list, answered)
		return false
	}
	s := readState(list)
	epoch, err := strconv.ParseUint(s.epoch, 10, 64)
	if err != nil || !s.readable {
		b.failed("join", fmt.Errorf("what Redis holds can't be read: %w", err))
		return false
	}
	goesOn, err := b.goesOn(ctx, s.position(epoch))
	if err == nil && !goesOn {
		b.counts.forks.Add(1)
		b.Logger.Warn("Redis has lost events of the fleet's log: it begins anew")
		err = b.scripts.reset.Run(ctx, b.Redis, b.keys, s.epoch).Err()
	} else if err == nil {
		err = b.recall(ctx, epoch, s.position(epoch))
	}
	if err != nil {
		b.failed("read the log", err)
	}
	if err != nil || !goesOn {
		return false
	}
	reading, stop := context.WithCancel(parent)
	m := &membership{
		epoch: epoch, epochText: s.epoch, id: id, seen: s.tick, ticks: []tick{{s.tick, sent}}, sent: sent, settled: s.settled, began: answered,
		others: make(map[string]*other), acked: make(map[string]uint64), met: s.members,
		reports: make(map[string][]report), cancel: stop,
	}
	late, ok := b.enter(m, &s, tokens, isolations, answered)
	if !ok {
		stop()
		return false
	}
	b.work.Go(func() { b.runReader(reading, m) })
	for _, q := range late {
		select {
		case <-q.done:
		case <-ctx.Done():
			b.mu.Lock()
			b.lose(m, "what was done without the log could not be announced")
			b.mu.Unlock()
			return false
		}
	}
	b.Logger.Info("joined the fleet", "process", fmt.Sprintf("%08x", uint32(b.process)), "seq", s.seq, "members", len(s.members))
	b.answered()
	return true
}

// goesOn tells whether a log with this end holds what this process has seen of it, as a member that Redis may have forgotten. Others' events
// are gone where it doesn't, and what they touched would look fresh.
func (b *Bus) goesOn(ctx context.Context, end invalidator.Position) (bool, error) {
	b.mu.Lock()
	reached, over := b.reached, slices.Contains(b.over, end.Epoch)
	b.mu.Unlock()
	switch {
	case over:
		return false, nil
	case reached.Epoch != end.Epoch:
		return true, nil
	case end.Seq <= reached.Seq:
		return end == reached, nil
	}
	entries, err := b.Redis.XRangeN(ctx, b.keys[1], entryID(reached.Seq), entryID(reached.Seq), 1).Result()
	if err != nil || len(entries) == 0 { // trimmed: it can't be told
		return reached.Seq == 0, err
	}
	_, nonce, _, _, err := readEntry(entries[0])
	return err == nil && nonce == reached.Nonce, nil
}

// announcement returns the name of a new membership, the script's arguments, the fences that they announce, and how much was done without the log
// by then.
func (b *Bus) announcement() (id string, arguments []any, tokens []*Token, isolations uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.joins++
	id = memberID(b.process, b.joins)
	level, all := "0", ""
	if b.Strict {
		level = "1"
	}
	if b.isolations != b.announced {
		e := event{kind: kindAll, process: b.process}
		all = string(e.encode())
	}
	joined := event{kind: kindJoin, process: b.process}
	arguments = []any{
		strconv.FormatUint(random(), 10), random(), b.LogLength, id, level, joined.encode(), all, fmt.Sprintf("%08x-", uint32(b.process)), b.Lease.Milliseconds(),
		b.witnessed,
	}
	tokens = make([]*Token, 0, len(b.own))
	for _, t := range b.own {
		tokens = append(tokens, t)
		arguments = append(arguments, t.name().String(), t.event(kindFence).encode())
	}
	return id, arguments, tokens, b.isolations
}

// enter makes a membership the current one. It returns what was done without the log since the announcement, and has to be announced.
func (b *Bus) enter(m *membership, s *state, tokens []*Token, isolations uint64, answered time.Duration) (late []*queued, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, false
	}
	b.takeFences(m.epoch, s)
	b.learnLevels(s, m.id)
	b.history.watched.Store(s.seq)
	b.witness(m, s)
	b.Applier.Everything()
	b.counts.everything.Add(1)
	for _, t := range tokens {
		if t.released { // while it was being announced
			late = append(late, t.end(kindChanged))
		}
	}
	for number := range b.pending {
		over := func(q *queued) bool { return q.event.number == number }
		if b.own[number] == nil && !slices.ContainsFunc(late, over) { // it is in the log that was read, or All below stands for it
			b.applied(number)
		}
	}
	if b.began.epoch == m.epoch {
		m.began = b.began.at
	} else if b.began.epoch != 0 {
		b.counts.epochs.Add(1)
		b.over = append(b.over[max(0, len(b.over)-keepEpochs):], b.began.epoch)
		b.census.doubt(b.received + b.part(silentLease)) // others may go on in the one before, and have taken this process for dead there
	}
	b.began.epoch, b.began.at = m.epoch, m.began
	b.member, b.received = m, answered
	for _, t := range tokens {
		t.appended(m, s.seq, s.nonce, s.strict, answered)
	}
	for _, t := range b.own {
		if t.membership != m {
			late = append(late, &queued{event: t.event(kindFence), up: t.name().String(), token: t, done: make(chan struct{})})
		}
	}
	late = append(late, b.orphans(m.epoch)...)
	if isolations != b.isolations {
		b.number++
		b.history.pend(reach{everything: true}, 1)
		b.pending[b.number] = reach{everything: true}
		late = append(late, &queued{event: &event{kind: kindAll, process: b.process, number: b.number}, done: make(chan struct{})})
	}
	b.announced = b.isolations
	b.queue = append(late, b.queue...)
	signal(b.queued)
	b.history.publish(s.position(m.epoch))
	b.confirm(m)
	b.broadcast()
	return late, true
}

// takeFences puts up what is up in the fleet, and takes down what is no more. The caller holds mu.
func (b *Bus) takeFences(epoch uint64, s *state) {
	for _, r := range b.remote {
		r.asked = false // what was sent to the log may be lost, or will not be read
	}
	for name, payload := range s.fences {
		if name.process == b.process {
			continue
		}
		if r := b.remote[name]; r != nil {
			r.epoch = epoch
			continue
		}
		e, err := decode(payload)
		if err != nil { // unknown means everything, for as long as it is up
			e = event{process: name.process, number: name.number, tags: Tags{Whole: true, Cluster: true}}
		}
		b.raise(epoch, name, &e)
	}
	members := map[Process]bool{}
	for id := range s.members {
		members[processOf(id)] = true
	}
	for name := range b.remote {
		_, up := s.fences[name]
		if _, left := b.census.left[name.process]; !up && (left || members[name.process]) {
			b.lower(name, true) // a member announces all its fences when it joins
		}
	}
}

// recall reads the retained log up to a position, so that entries of L2 which are older can be judged. Nothing of it touches the slots: all
// that is cached is invalidated afterwards.
func (b *Bus) recall(ctx context.Context, epoch uint64, end invalidator.Position) error {
	h := &b.history
	h.begin(end)
	if end.Seq == 0 {
		return nil
	}
	next := uint64(1)
	if end.Seq > historyLength-2 {
		next = end.Seq - (historyLength - 2)
	}
	started := false
	var before uint64
	for next <= end.Seq {
		entries, err := b.Redis.XRangeN(ctx, b.keys[1], entryID(next), entryID(end.Seq), readCount).Result()
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			break
		}
		for _, entry := range entries {
			seq, nonce, previous, e, err := readEntry(entry)
			switch {
			case err != nil, started && (seq != next || previous != before): // what came before is of no use
				return b.recallNothing(end)
			case !started:
				h.begin(invalidator.Position{Epoch: epoch, Seq: seq - 1, Nonce: previous})
				started = true
			}
			h.touch(seq, b.reach(&e))
			h.record(invalidator.Position{Epoch: epoch, Seq: seq, Nonce: nonce})
			next, before = seq+1, nonce
		}
	}
	if !started || before != end.Nonce || next != end.Seq+1 {
		return b.recallNothing(end)
	}
	return nil
}

// recallNothing begins at the log's end.
func (b *Bus) recallNothing(end invalidator.Position) error {
	b.history.begin(end)
	return nil
}

// readEntry reads an entry of the stream. An event that can't be read stands for everything.
func readEntry(entry redis.XMessage) (seq, nonce, previous uint64, e event, err error) {
	var n int
	if n, err = fmt.Sscanf(entry.ID, "%d-0", &seq); err != nil || n != 1 {
		return 0, 0, 0, event{}, fmt.Errorf("entry %s: %w", entry.ID, errEvent)
	}
	text := func(name string) string {
		s, _ := entry.Values[name].(string)
		return s
	}
	if nonce, err = strconv.ParseUint(text("n"), 16, 64); err != nil {
		return 0, 0, 0, event{}, fmt.Errorf("entry %s: %w", entry.ID, err)
	}
	if previous, err = strconv.ParseUint(text("p"), 16, 64); err != nil {
		return 0, 0, 0, event{}, fmt.Errorf("entry %s: %w", entry.ID, err)
	}
	if e, err = decode(text("e")); err != nil {
		e = event{kind: kindAll}
	}
	return seq, nonce, previous, e, nil
}
