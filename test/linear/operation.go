package linear

import "fmt"

// outcome is what a client knows of its operation.
type outcome uint8

const (
	// unknown: the connection was lost, or ended with a fatal error, before the answer was there.
	unknown outcome = iota
	// done: the server said so.
	done
	// never: the server refused it, or the transaction was rolled back before COMMIT was sent.
	never
)

func (o outcome) String() string { return [...]string{"unknown", "done", "never"}[o] }

// operation is a read or a write of one register.
type operation struct {
	client       int
	through      int   // the number of the pgrecall
	generation   int64 // of that process: when a write began, when a read ended
	key          int
	write        bool
	value        int64 // written, or read where the outcome is done
	call, finish int64 // nanoseconds since the run began
	outcome      outcome
	how          string // statement shape, protocol, transaction
	note         string // the error
}

func (o *operation) String() string {
	if o.write {
		return fmt.Sprintf("write %d (%s, %s)", o.value, o.how, o.outcome)
	}
	return fmt.Sprintf("read %d (%s)", o.value, o.how)
}

// line is the operation as it is kept on disk: tab-separated, times in microseconds.
func (o *operation) line() string {
	kind := "read"
	if o.write {
		kind = "write"
	}
	return fmt.Sprintf("%.3f\t%.3f\tclient %d\tpgrecall %d\tkey %d\t%s\t%d\t%s\t%s\t%s\n", float64(o.call)/1e3, float64(o.finish)/1e3, o.client, o.through, o.key, kind, o.value, o.outcome, o.how, o.note)
}
