package main

import (
	"context"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func connect(t *testing.T) *pgconn.PgConn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go serve(listener)
	// sslmode=prefer makes the client ask for encryption first.
	conn, err := pgconn.Connect(context.Background(), "postgres://anyone@"+listener.Addr().String()+"/any?sslmode=prefer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func wantZero(t *testing.T, result *pgconn.Result) {
	t.Helper()
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	if len(result.Rows) != 1 || string(result.Rows[0][0]) != "0" || result.CommandTag.String() != "SELECT 1" ||
		len(result.FieldDescriptions) != 1 || result.FieldDescriptions[0].Name != "abalance" {
		t.Fatalf("got %+v", result)
	}
}

func TestAnswersEachQueryMode(t *testing.T) {
	ctx := context.Background()
	conn := connect(t)
	const statement = "SELECT abalance FROM pgbench_accounts WHERE aid = $1"
	arguments := [][]byte{[]byte("7")}
	for range 3 {
		results, err := conn.Exec(ctx, "SELECT abalance FROM pgbench_accounts WHERE aid = 7").ReadAll()
		if err != nil || len(results) != 1 {
			t.Fatalf("simple: %d results, %v", len(results), err)
		}
		wantZero(t, results[0])
		wantZero(t, conn.ExecParams(ctx, statement, arguments, nil, nil, nil).Read())
	}
	description, err := conn.Prepare(ctx, "s", statement, nil)
	if err != nil || len(description.ParamOIDs) != 1 {
		t.Fatalf("prepare: %+v, %v", description, err)
	}
	for range 3 {
		wantZero(t, conn.ExecPrepared(ctx, "s", arguments, nil, nil).Read())
	}
}

// oneByOne delivers the client's bytes singly, so that every frame arrives in pieces.
type oneByOne struct{ net.Conn }

func (c oneByOne) Read(buffer []byte) (int, error) { return c.Conn.Read(buffer[:1]) }

func TestFramesInPieces(t *testing.T) {
	client, server := net.Pipe()
	go newSession(oneByOne{server}).run()
	config, err := pgconn.ParseConfig("postgres://anyone@127.0.0.1/any?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) { return client, nil }
	conn, err := pgconn.ConnectConfig(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	results, err := conn.Exec(context.Background(), "SELECT 1").ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	wantZero(t, results[0])
}
