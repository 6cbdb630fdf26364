package linear

import (
	"math"
	"time"

	"github.com/anishathalye/porcupine"
)

// model is a register: a read returns what was written last. Input is an *operation.
func model(initial int64) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return initial },
		Step: func(state, input, _ any) (bool, any) {
			o, _ := input.(*operation)
			if o.write {
				return true, o.value
			}
			return state == any(o.value), state
		},
		DescribeOperation: func(input, _ any) string { o, _ := input.(*operation); return o.String() },
	}
}

// resolve makes a history that a deterministic register can be checked against out of one with unknown outcomes.
//
// A write of unknown outcome whose value nobody read is left out: no order becomes possible or impossible by it, for it can always be the
// last, or have been overwritten at once. One whose value was read has taken effect, and before the first of these reads returned. Reads without an
// answer and writes that never were say nothing; a read of what never was has no explanation, as it should.
func resolve(history []operation) []operation {
	seen := map[int64]int64{} // value to the moment at which the first read that returned it ended
	for i := range history {
		if o := &history[i]; !o.write && o.outcome == done {
			if at, ok := seen[o.value]; !ok || o.finish < at {
				seen[o.value] = o.finish
			}
		}
	}
	resolved := make([]operation, 0, len(history))
	for _, o := range history {
		switch {
		case o.outcome == never, !o.write && o.outcome == unknown:
			continue
		case o.outcome == unknown:
			at, ok := seen[o.value]
			if !ok {
				continue
			}
			o.finish = max(o.call, at)
		}
		resolved = append(resolved, o)
	}
	return resolved
}

// verdict is the result of checking one register.
type verdict struct {
	porcupine.CheckResult
	model porcupine.Model
	info  porcupine.LinearizationInfo
}

// check looks for an order of one register's operations, which holds initial at the beginning. Unknown as a result means that it took longer than
// the bound.
func check(initial int64, history []operation, bound time.Duration) verdict {
	v := verdict{model: model(initial)}
	resolved := resolve(history)
	operations := make([]porcupine.Operation, len(resolved))
	for i := range resolved {
		o := &resolved[i]
		operations[i] = porcupine.Operation{ClientId: o.client, Input: o, Call: o.call, Return: o.finish}
	}
	v.CheckResult = porcupine.CheckOperationsTimeout(v.model, operations, bound)
	if v.CheckResult == porcupine.Illegal {
		_, v.info = porcupine.CheckOperationsVerbose(v.model, operations, bound)
	}
	return v
}

// stale finds, for people, the first read that returned a value although a newer one was known: an operation that began after the value was
// written had ended with another one before the read began. It returns the read and that operation, nil where the history is wrong in a less simple way.
func stale(initial int64, history []operation) (read, newer *operation) {
	resolved := resolve(history)
	// The latest moment at which the write of a value can have taken effect.
	written := map[int64]*operation{initial: {write: true, call: math.MinInt64, finish: math.MinInt64}}
	for i := range resolved {
		if o := &resolved[i]; o.write {
			written[o.value] = o
		}
	}
	for i := range resolved {
		r := &resolved[i]
		if r.write || read != nil && r.call >= read.call {
			continue
		}
		old := written[r.value]
		if old == nil {
			return r, nil
		}
		for j := range resolved {
			n := &resolved[j]
			w := written[n.value]
			// The newer value was written after the older one, for sure, and somebody knew it before the read began.
			if w != nil && w != old && n.outcome == done && n.finish < r.call && w.call > old.finish {
				read, newer = r, n
				break
			}
		}
	}
	return read, newer
}
