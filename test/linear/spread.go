package linear

import "context"

// Shares of what clients of a fleet do, out of 1000.
const (
	awayShare  = 250 // of operations: through another pgrecall than the client's usual one
	awakeShare = 950 // of operations that would go to a pgrecall that sleeps: they go to one that does not
)

// spread is a session with each pgrecall of a fleet; an operation takes one of them.
type spread struct {
	worker *worker
	each   []session
	now    session // which the operation of the moment takes
}

func (s *spread) prepare(ctx context.Context) (*cutSocket, error) {
	w := s.worker
	to := w.home
	if w.chance(awayShare) {
		to = w.random.IntN(len(s.each))
	}
	if w.run.processes[to].asleep.Load() && w.chance(awakeShare) {
		to = (to + 1) % len(s.each)
	}
	if w.writing && int(w.run.reading.Load()) == 1+to {
		to = (to + 1) % len(s.each)
	}
	s.now = s.each[to]
	w.through = to
	return s.now.prepare(ctx)
}

func (s *spread) read(ctx context.Context, w *worker, key int) { s.now.read(ctx, w, key) }

func (s *spread) write(ctx context.Context, w *worker, key int) { s.now.write(ctx, w, key) }

func (s *spread) finish() { s.now.finish() }

func (s *spread) close() {
	for _, one := range s.each {
		one.close()
	}
}
