package linear

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Shares of what clients do, out of 1000.
const (
	writeShare    = 20  // of operations
	fleetShare    = 80  // the same in a fleet, where half of the clients write, and wait for that
	cutWriteShare = 250 // of writes: the client's socket breaks
	cutReadShare  = 15  // of reads
	hurryShare    = 60  // of writes: the client loses patience, cancels and hangs up
	hotShare      = 500 // of operations: on the register that something happened to last
)

// operationTimeout bounds one operation: the longest lock, stall or restart of a run is shorter.
const operationTimeout = 4 * time.Second

// session is one way of speaking to PostgreSQL. After an error the next call begins with a new connection.
type session interface {
	// prepare makes sure that there is a connection and returns its socket, nil for one that is not to be cut.
	prepare(ctx context.Context) (*cutSocket, error)
	// read reads registers, in some way that the worker's choices select, and records each.
	read(ctx context.Context, w *worker, key int)
	// write writes a register once and records it.
	write(ctx context.Context, w *worker, key int)
	// finish ends the use of the connection that prepare made.
	finish()
	close()
}

// worker is one client.
type worker struct {
	run     *run
	id      int
	random  *rand.Rand
	session session
	only    bool // reads only, past pgrecall
	silent  bool // reads only: in a fleet writes wait, and somebody has to look what is in the caches then
	home    int  // the pgrecall that it uses, most of the time
	through int  // the pgrecall of the operation of the moment
	writing bool // the operation of the moment is a write
	history []operation
}

// work goes on until the context ends; an operation that runs then is completed.
func (w *worker) work(ctx context.Context) {
	for ctx.Err() == nil {
		w.once()
	}
}

func (w *worker) chance(of1000 int) bool { return w.random.IntN(1000) < of1000 }

func (w *worker) once() {
	patience := operationTimeout
	key := w.key()
	share := writeShare
	if len(w.run.processes) > 1 {
		share = fleetShare
	}
	write := !w.only && !w.silent && w.chance(share) && int(w.run.frozen.Load()) != 1+key/rowsPerTable && !w.bound()
	w.writing = write
	if write && w.chance(hurryShare) {
		patience = time.Duration(w.random.IntN(20_000)) * time.Microsecond
		w.run.kills.count("client lost patience")
	}
	connecting, cancel := context.WithTimeout(context.Background(), operationTimeout)
	socket, err := w.session.prepare(connecting)
	cancel()
	if err != nil { // pgrecall or the server is starting: nothing tells when it is there but trying
		time.Sleep(time.Millisecond)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	defer w.session.finish()
	share = cutReadShare
	if write {
		share = cutWriteShare
	}
	if socket != nil && w.chance(share) {
		w.armCut(socket)
		defer func() {
			if socket.disarm() {
				w.run.kills.count("client socket cut")
			}
		}()
	}
	if write {
		w.session.write(ctx, w, key)
		return
	}
	w.session.read(ctx, w, key)
}

func (w *worker) armCut(socket *cutSocket) {
	if w.chance(500) {
		socket.arm(toServer, w.random.IntN(200), w.chance(500))
		return
	}
	socket.arm(toClient, w.random.IntN(80), w.chance(500))
}

// bound tells whether the client could write through one pgrecall alone, which is not to be written through just now.
func (w *worker) bound() bool {
	_, free := w.session.(*spread)
	return !free && int(w.run.reading.Load()) == 1+w.home
}

// key chooses a register.
func (w *worker) key() int {
	if w.chance(hotShare) {
		return int(w.run.hot.Load())
	}
	return w.random.IntN(keys)
}

// reads records a read.
func (w *worker) reads(how string, key int, read func() (int64, error)) error {
	o := operation{client: w.id, through: w.through, key: key, how: how, call: w.run.now()}
	value, err := read()
	o.finish, o.generation = w.run.now(), w.generation()
	if err == nil {
		o.value, o.outcome = value, done
	} else {
		o.note = err.Error()
	}
	w.history = append(w.history, o)
	return err
}

// generation is that of the process which the operation of the moment goes through.
func (w *worker) generation() int64 { return w.run.processes[w.through].generation.Load() }

// writes records a write of a new value.
func (w *worker) writes(how string, key int, write func(value int64) (outcome, error)) {
	o := operation{client: w.id, through: w.through, key: key, how: how, write: true, value: w.run.values.Add(1), generation: w.generation(), call: w.run.now()}
	var err error
	o.outcome, err = write(o.value)
	o.finish = w.run.now()
	if err != nil {
		o.note = err.Error()
	}
	if o.outcome == unknown || w.chance(300) {
		w.run.hot.Store(int32(key))
	}
	w.history = append(w.history, o)
}

// errNoRow is an answer that the server can't have given.
var errNoRow = errors.New("the register was not there")

// judge tells what an error says about the statement, or transaction, that it ended. An ERROR comes before the commit, always;
// a FATAL may come after it.
func judge(err error) outcome {
	var refused *pgconn.PgError
	switch {
	case err == nil:
		return done
	case errors.As(err, &refused) && refused.Severity == "ERROR", errors.Is(err, pgx.ErrTxCommitRollback):
		return never
	}
	return unknown
}
