package catalog

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// seen is what one look leaves for the next one.
type seen struct {
	snapshot     *Snapshot
	state        serverState
	transactions string // see parseState
	fingerprint  *fingerprint
	views        *views
	missing      int // views, policies and bodies that could not be deparsed
}

// read loads the definitions, unless nothing that they were read from has changed since last, which is nil for the first look. What it
// returns is as of one moment.
func read(ctx context.Context, conn *pgx.Conn, last *seen) (*seen, error) {
	now, err := readOpen(ctx, conn, last)
	if err := errors.Join(err, rollback(ctx, conn)); err != nil {
		return nil, err
	}
	return now, nil
}

func readOpen(ctx context.Context, conn *pgx.Conn, last *seen) (*seen, error) {
	state, transactions, err := open(ctx, conn)
	if err != nil {
		return nil, err
	}
	if last != nil && last.state != state { // deparsing depends on settings and roles, and another server has other transactions
		last = nil
	}
	var horizon horizon
	if last != nil {
		if transactions != "" && transactions == last.transactions && last.missing == 0 {
			return last, nil
		}
		horizon = last.fingerprint.horizon
	}
	f, err := readFingerprint(ctx, conn, horizon)
	if err != nil {
		return nil, err
	}
	if last != nil && last.missing == 0 && f.since(last.fingerprint) {
		same := *last
		same.transactions, same.fingerprint = transactions, f
		return &same, nil
	}
	var texts *views
	if last != nil && f.texts(last.fingerprint) {
		texts = last.views
	}
	l, err := load(ctx, conn, texts)
	if err != nil {
		return nil, err
	}
	l.snapshot.Under = state.under(l.snapshot.Digest)
	return &seen{l.snapshot, state, transactions, f, l.views, l.missing}, nil
}
