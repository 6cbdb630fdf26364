package bus

import "testing"

// TestOutsiderThatCameBackBetween: PostgreSQL does not show a process that writes without the log, shows it again, and does not show it again. The
// transactions that count are those that it left the last time.
func TestOutsiderThatCameBackBetween(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	lone, other := f.all[0], f.all[1]
	const before, after = Process(1), Process(2)
	lone.link.set(true)
	if !lone.fence(1).alone {
		t.Fatal("it wrote with the log")
	}
	f.change(func(r *register) { r.running[before] = true; delete(r.living, lone.Process()) })
	other.await("it asks for what is open", func() bool {
		f.pg.mu.Lock()
		defer f.pg.mu.Unlock()
		return f.pg.asked > 0
	})
	f.change(func(r *register) { r.living[lone.Process()] = true })
	other.await("it is back", func() bool {
		other.mu.Lock()
		defer other.mu.Unlock()
		o := other.census.outside[lone.Process()]
		return o != nil && !o.absent && !o.settling
	})
	f.change(func(r *register) { r.running[after] = true; delete(r.running, before) })
	lone.kill(true)
	f.never(4, "Live, and a transaction of a process that wrote without the log is open", func() bool { return other.Live() })
	f.change(func(r *register) { delete(r.running, after) })
	other.awaitLive()
}
