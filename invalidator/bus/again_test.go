package bus

import (
	"testing"
	"time"
)

// TestOutsiderThatCameBackBetween: PostgreSQL does not show a process that writes without the log, shows it again, and does not show it again. The
// transactions that count are those that it left the last time.
func TestOutsiderThatCameBackBetween(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]func(f *fleet, lone, other *proxy){
		"seen": func(f *fleet, lone, other *proxy) {
			f.change(func(r *register) { r.living[lone.Process()] = true })
			other.await("it is back", func() bool {
				other.mu.Lock()
				defer other.mu.Unlock()
				return !other.census.outside[lone.Process()].absent
			})
			f.change(func(r *register) { r.running[2] = true })
			lone.kill(true)
			looks := other.view.looks.Load()
			other.await("it is not seen any more", func() bool { return other.view.looks.Load() > looks+1 })
		},
		"while nobody looked": func(f *fleet, lone, other *proxy) {
			other.view.hangs.Store(true)
			time.Sleep(2 * f.lease) // the fault
			other.view.hangs.Store(false)
			other.await("it asks for what anybody may have left", func() bool {
				f.pg.mu.Lock()
				defer f.pg.mu.Unlock()
				return f.pg.asked > 1
			})
			other.view.hangs.Store(true)
			time.Sleep(2 * f.lease) // once more
			f.change(func(r *register) { r.running[2] = true })
			lone.kill(true)
			other.view.hangs.Store(false)
			looks := other.view.looks.Load()
			other.await("it looks again", func() bool { return other.view.looks.Load() > looks+1 })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, 2)
			lone, other := f.all[0], f.all[1]
			lone.link.set(true)
			if !lone.fence(1).alone {
				t.Fatal("it wrote with the log")
			}
			f.change(func(r *register) { r.running[1] = true; delete(r.living, lone.Process()) })
			other.await("it asks for what is open", func() bool {
				f.pg.mu.Lock()
				defer f.pg.mu.Unlock()
				return f.pg.asked > 0
			})
			back(f, lone, other)
			f.change(func(r *register) { delete(r.running, 1) })
			f.never(4, "Live, and a transaction of a process that wrote without the log is open", func() bool { return other.Live() })
			f.change(func(r *register) { delete(r.running, 2) })
			other.awaitLive()
		})
	}
}
