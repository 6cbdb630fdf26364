package catalog

import "time"

// Await returns the current snapshot, or waits for the next one until done is closed or the time is over; nil then. The look that
// it waits for is not put off.
func (w *Watcher) Await(done <-chan struct{}, most time.Duration) *Snapshot {
	w.mu.Lock()
	if s := w.snapshot.Load(); s != nil {
		w.mu.Unlock()
		return s
	}
	if w.installed == nil {
		w.installed = make(chan struct{})
	}
	installed := w.installed
	w.mu.Unlock()
	select {
	case w.urgent <- struct{}{}:
	default:
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-installed:
	case <-done:
	case <-timer.C:
	}
	return w.snapshot.Load()
}

// AwaitRest waits until the transaction of the look that is under way has ended, until done is closed or the time is over. A look
// reads as of one moment, and VACUUM keeps what was visible then: a statement that follows looks must not find less
// vacuumed than without them (manual, section 25.1.2).
func (w *Watcher) AwaitRest(done <-chan struct{}, most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case w.reading <- struct{}{}:
		<-w.reading
	case <-done:
	case <-timer.C:
	}
}
