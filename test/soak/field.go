package soak

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// field is one database behind one pgrecall: an epoch of a run.
type field struct {
	seed      uint64
	epoch     int
	world     *world
	database  string
	direct    string // addresses
	proxied   string
	ledger    *ledger
	ready     func()    // waits, within a bound, until pgrecall's catalog is loaded
	directory string    // for findings
	deadline  time.Time // zero for none
	halted    atomic.Bool
	doubts    atomic.Int32
}

// stop makes all clients end soon.
func (f *field) stop() { f.halted.Store(true) }

// stopped tells that the time is up, or that somebody found a difference.
func (f *field) stopped() bool {
	return f.halted.Load() || !f.deadline.IsZero() && time.Now().After(f.deadline)
}

// newField makes the database with its schema. The server needs the roles.
func newField(ctx context.Context, server *pgtest.Server, seed uint64, epoch, version int, directory string) (*field, error) {
	f := &field{
		seed: seed, epoch: epoch, database: fmt.Sprintf("soak_%d", epoch), direct: server.Address(), ledger: newLedger(),
		directory: filepath.Clean(directory), world: newWorld(roll(seed, epoch, 0, 0), version),
	}
	if err := execute(ctx, server.DSN("postgres"), "CREATE DATABASE "+f.database, "ALTER DATABASE "+f.database+" SET search_path = app, alt, public"); err != nil {
		return nil, err
	}
	return f, execute(ctx, server.DSN(f.database), f.world.setup...)
}

// execute runs statements one by one, so that an error names its own.
func execute(ctx context.Context, dsn string, statements ...string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, statement := range statements {
		if _, err := conn.PgConn().Exec(ctx, statement).ReadAll(); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// pace lets writers act in proportion to what readers have asked.
type pace struct {
	mu      sync.Mutex
	changed *sync.Cond
	asked   int
	over    bool
}

func newPace() *pace {
	p := &pace{}
	p.changed = sync.NewCond(&p.mu)
	return p
}

func (p *pace) advance(reads int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked += reads
	p.changed.Broadcast()
}

// end says that the readers are done.
func (p *pace) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	p.changed.Broadcast()
}

// until waits for so many reads and tells whether there will be more.
func (p *pace) until(reads int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.asked < reads && !p.over {
		p.changed.Wait()
	}
	return !p.over
}
