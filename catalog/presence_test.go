package catalog

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

func TestPresence(t *testing.T) {
	server := pgtest.Start(t) // its transactions are nobody else's
	config, err := pgx.ParseConfig(server.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	one, other := NewPresence(config, 7), NewPresence(config, 1<<31+5)
	defer one.Close()
	present := func(p *Presence) []uint32 {
		t.Helper()
		keys, err := p.Present(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	for _, want := range [][]uint32{{}, {7}} { // nobody can have seen it before the first look
		if keys := present(one); !slices.Equal(keys, want) {
			t.Errorf("alone: %v, want %v", keys, want)
		}
	}
	for _, want := range [][]uint32{{7}, {7, 1<<31 + 5}} {
		if keys := present(other); !slices.Equal(keys, want) {
			t.Errorf("both: %v, want %v", keys, want)
		}
	}

	client, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(context.Background())
	if _, err := client.Exec(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	open, err := one.Transactions(t.Context(), 0)
	if err != nil || len(open) != 1 || open[0].PID != client.PgConn().PID() {
		t.Fatalf("%+v, %v", open, err)
	}
	if young, err := one.Transactions(t.Context(), time.Microsecond); err != nil || len(young) != 0 {
		t.Errorf("of the last microsecond: %+v, %v", young, err)
	}
	if young, err := one.Transactions(t.Context(), time.Hour); err != nil || len(young) != 1 {
		t.Errorf("of the last hour: %+v, %v", young, err)
	}
	if gone, err := one.TransactionGone(t.Context(), open[0]); gone || err != nil {
		t.Errorf("an open transaction: gone %v, %v", gone, err)
	}
	if _, err := client.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if gone, err := one.TransactionGone(t.Context(), open[0]); !gone || err != nil {
		t.Errorf("after COMMIT: gone %v, %v", gone, err)
	}

	// A presence whose connection is lost shows again. Somebody may have looked meanwhile: it has to know of the break.
	if _, err := client.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7"); err != nil {
		t.Fatal(err)
	}
	for broken, shows := false, false; !shows; {
		keys, err := one.Present(t.Context())
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
		if err != nil {
			continue
		}
		shows = slices.Contains(keys, 7)
		if broken = broken || !shows; !broken {
			t.Error("a presence that was lost and taken again looks like one that was never lost")
		}
	}
	other.Close()
	for keys := present(one); !slices.Equal(keys, []uint32{7}); keys = present(one) {
		if t.Context().Err() != nil {
			t.Fatalf("after the other has gone: %v", keys)
		}
	}
}

// TestPresenceOnAHalfOpenConnection: the session before, which the server has not found out to be lost, does not keep the next one from showing.
func TestPresenceOnAHalfOpenConnection(t *testing.T) {
	config, err := pgx.ParseConfig(pgtest.Start(t).DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	lost, next := NewPresence(config, 7), NewPresence(config, 7)
	defer lost.Close()
	defer next.Close()
	for _, p := range []*Presence{lost, lost, next} {
		if _, err := p.Present(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if keys, err := next.Present(ctx); err != nil || !slices.Equal(keys, []uint32{7}) {
		t.Errorf("%v, %v", keys, err)
	}
}
