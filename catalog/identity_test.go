package catalog

import (
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// TestClientThatAuthenticatesIsNoCrash has a client of PostgreSQL 18 stop before it gives its password: the server shows it without database
// and user.
func TestClientThatAuthenticatesIsNoCrash(t *testing.T) {
	server := pgtest.Start(t, pgtest.WithVersion("18"), pgtest.WithHBA("host all slow all scram-sha-256"))
	if err := server.Exec(t.Context(), "postgres", `CREATE ROLE slow LOGIN PASSWORD 'x'`); err != nil {
		t.Fatal(err)
	}
	config, err := pgx.ParseConfig(server.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	w := NewWatcher(Options{Config: config})
	ended := make(chan error, 1)
	go func() { ended <- w.Run(t.Context()) }()
	t.Cleanup(func() { <-ended })
	boss, err := pgx.Connect(t.Context(), server.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	slow, err := net.Dial("tcp", server.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	deadline := time.Now().Add(20 * time.Second)
	for !w.Ready() {
		if time.Now().After(deadline) {
			t.Fatal(w.Err())
		}
		time.Sleep(time.Millisecond)
	}
	startup := pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "slow", "database": "postgres"}}
	packet, err := startup.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := slow.Write(packet); err != nil {
		t.Fatal(err)
	}
	for shown := 0; shown == 0; {
		if err := boss.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datid IS NULL AND backend_type = 'client backend'`).Scan(&shown); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("the client does not appear")
		}
	}
	if same, err := w.SameServer(t.Context()); err != nil || !same {
		t.Errorf("same server: %v, %v", same, err)
	}
}
