package catalog

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Seen is what a look leaves for the next one.
type Seen struct{ seen *seen }

// Look reads the definitions unless nothing has changed since last; loaded tells whether it did.
func Look(ctx context.Context, conn *pgx.Conn, last *Seen) (now *Seen, loaded bool, err error) {
	var before *seen
	if last != nil {
		before = last.seen
	}
	after, err := read(ctx, conn, before)
	if err != nil {
		return nil, false, err
	}
	return &Seen{after}, before == nil || after.snapshot != before.snapshot, nil
}

// Compare tells whether the catalogues have the same row versions as at the last look or comparison. It loads nothing.
func Compare(ctx context.Context, conn *pgx.Conn, last *Seen) (now *Seen, same bool, err error) {
	state, transactions, err := open(ctx, conn)
	if err != nil {
		return nil, false, err
	}
	f, err := readFingerprint(ctx, conn, last.seen.fingerprint.horizon)
	if err != nil {
		return nil, false, err
	}
	after := *last.seen
	after.state, after.transactions, after.fingerprint = state, transactions, f
	return &Seen{&after}, f.since(last.seen.fingerprint), rollback(ctx, conn)
}

// WhileLoaded calls probe when everything has been read and the transaction has not ended.
func WhileLoaded(ctx context.Context, conn *pgx.Conn, probe func()) error {
	if _, _, err := open(ctx, conn); err != nil {
		return err
	}
	if _, err := load(ctx, conn, nil); err != nil {
		return err
	}
	probe()
	return rollback(ctx, conn)
}

// Snapshot returns the definitions.
func (s *Seen) Snapshot() *Snapshot { return s.seen.snapshot }

// Missing returns how many views and policies could not be deparsed.
func (s *Seen) Missing() int { return s.seen.missing }

// Catalogues returns the names of the catalogs whose changes a look notices.
func Catalogues() []string {
	var names []string
	for _, c := range catalogues() {
		names = append(names, c.name)
	}
	return names
}
