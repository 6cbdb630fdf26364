package remote

import "time"

// Options are the bounds of a Guard. Zero values mean the defaults.
type Options struct {
	// Hang is how long a caller of Get waits; longer means that the store hangs: 50 ms. A value that the
	// network needs longer for than this takes the store down each time that it is read: bound what is put.
	Hang time.Duration
	// MinBackoff and MaxBackoff are the waits before the first and the later probes of a store that failed: 100 ms and 5 s.
	MinBackoff, MaxBackoff time.Duration
	// ProbeTimeout bounds one probe, which may have to connect first: 1 s. Nobody waits for it.
	ProbeTimeout time.Duration
	// Running is how many calls may be under way at the same time, those included whose callers have left: 1024.
	Running int
	// QueueBytes bounds the writes that wait, with all that they take: 16 MiB.
	QueueBytes int64
	// BatchBytes and BatchWrites bound what one round trip writes: 256 KiB and 128. A single larger value goes alone.
	BatchBytes  int64
	BatchWrites int
	// WriteRate is the least number of bytes per second of a store that does not hang: a batch may take Hang
	// and what its bytes need at this rate. 10 MB/s.
	WriteRate int64
	// RefusedPause is how long nothing is written after the store refused writes, as it was full or a replica: 1 s.
	RefusedPause time.Duration
}

func (o Options) withDefaults() Options {
	set(&o.Hang, 50*time.Millisecond)
	set(&o.MinBackoff, 100*time.Millisecond)
	set(&o.MaxBackoff, 5*time.Second)
	set(&o.ProbeTimeout, time.Second)
	set(&o.Running, 1024)
	set(&o.QueueBytes, 16<<20)
	set(&o.BatchBytes, 256<<10)
	set(&o.BatchWrites, 128)
	set(&o.WriteRate, 10_000_000)
	set(&o.RefusedPause, time.Second)
	o.MaxBackoff = max(o.MaxBackoff, o.MinBackoff)
	return o
}

func set[T int | int64 | time.Duration](field *T, fallback T) {
	if *field <= 0 {
		*field = fallback
	}
}
