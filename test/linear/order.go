package linear

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// orderSchema makes the server keep the order of the writes of each register: clients are promised that they see their own, and the checker has to
// know which are newer.
func orderSchema() string {
	var b strings.Builder
	b.WriteString("CREATE FUNCTION keep_order() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.log := OLD.log || NEW.v; RETURN NEW; END';\n")
	for i := range tables {
		fmt.Fprintf(&b, "ALTER TABLE register_%d ADD log bigint[] NOT NULL DEFAULT '{%d}';\n", i, initial)
		fmt.Fprintf(&b, "CREATE TRIGGER keep_order BEFORE UPDATE ON register_%d FOR EACH ROW EXECUTE FUNCTION keep_order();\n", i)
	}
	return b.String()
}

// order is what is known of the order of writes since the run began, and of what was read how late.
type order struct {
	places [keys]map[int64]int // of values among the writes of a register
	read   [keys][]int64       // by place: when the last read began that returned it, 0 for none
	acks   [keys][]ack
	slow   time.Duration // the longest time until all pgrecalls had the last values
}

// ack is a write that was acknowledged.
type ack struct {
	place int
	at    int64 // when
	calm  bool  // nothing was broken in its window
}

func newOrder() *order {
	o := &order{}
	for key := range keys {
		o.places[key] = make(map[int64]int)
	}
	return o
}

// learn reads the order of all writes up to now.
func (o *order) learn(ctx context.Context, conn *pgx.Conn) error {
	for key := range keys {
		var log []int64
		if err := conn.QueryRow(ctx, fmt.Sprintf("SELECT log FROM %s WHERE id = %d", tableOf(key), key%rowsPerTable)).Scan(&log); err != nil {
			return fmt.Errorf("read the order of the writes of register %d: %w", key, err)
		}
		for place := len(o.read[key]); place < len(log); place++ {
			o.places[key][log[place]] = place
			o.read[key] = append(o.read[key], 0)
		}
	}
	return nil
}

// own is the last write of a client that was acknowledged.
type own struct {
	place      int
	generation int64
	write      *operation
}

// violation is a read that returned what is older than its client's own write, or what never was; own is nil then.
type violation struct{ read, own *operation }

// check looks through what one client did in a window. A client of a pgrecall that was started again begins anew: its connection is another.
func (o *order) check(history []operation, calm bool) (found []violation) {
	owns := make([]own, keys)
	for i := range history {
		op := &history[i]
		if op.outcome != done {
			continue
		}
		place, known := o.places[op.key][op.value]
		mine := &owns[op.key]
		switch {
		case !known:
			found = append(found, violation{read: op})
		case op.write:
			o.acks[op.key] = append(o.acks[op.key], ack{place, op.finish, calm})
			if place > mine.place || mine.generation != op.generation {
				*mine = own{place, op.generation, op}
			}
		default:
			o.read[op.key][place] = max(o.read[op.key][place], op.call)
			if mine.write != nil && mine.generation == op.generation && place < mine.place {
				found = append(found, violation{op, mine.write})
			}
		}
	}
	return found
}

// staleness returns, for each acknowledged write of calm windows or of the others, how long after it the last read began that returned an older
// value, 0 where none did.
func (o *order) staleness(calm bool) (all []time.Duration) {
	for key := range keys {
		before := make([]int64, len(o.read[key])+1) // by place: when the last read of something older began
		for place, at := range o.read[key] {
			before[place+1] = max(before[place], at)
		}
		for _, a := range o.acks[key] {
			if a.calm == calm {
				all = append(all, time.Duration(max(0, before[a.place]-a.at)))
			}
		}
	}
	return all
}
