package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const benchDatabase = "pgrecall_bench"

// address is where a server listens.
type address struct {
	host string
	port int
}

func (a address) String() string { return net.JoinHostPort(a.host, strconv.Itoa(a.port)) }

// freeAddress is a port of the loopback interface that nobody has now. A server takes it a moment
// later; another program could be faster, which shows as a server that is missing.
func freeAddress() (address, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return address{}, err
	}
	defer listener.Close()
	at, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return address{}, fmt.Errorf("%v is no TCP address", listener.Addr())
	}
	return address{host: "127.0.0.1", port: at.Port}, nil
}

// upstream is the PostgreSQL behind all servers, with a database for this run.
type upstream struct {
	at       address
	user     string
	database string
	version  string
	admin    string // DSN of the database that was there before
}

// openUpstream makes the database on a running server.
func openUpstream(ctx context.Context, dsn string) (*upstream, error) {
	config, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(config.Host, "/") {
		return nil, fmt.Errorf("host %q: the programs in the middle need TCP", config.Host)
	}
	u := &upstream{
		at: address{host: config.Host, port: int(config.Port)}, user: config.User, database: benchDatabase, admin: dsn,
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	u.version = conn.ParameterStatus("server_version")
	for _, statement := range [...]string{"DROP DATABASE IF EXISTS " + benchDatabase, "CREATE DATABASE " + benchDatabase} {
		if _, err := conn.Exec(ctx, statement).ReadAll(); err != nil {
			return nil, fmt.Errorf("%s: %w", statement, err)
		}
	}
	return u, nil
}

// drop removes the database.
func (u *upstream) drop(ctx context.Context) error {
	conn, err := pgconn.Connect(ctx, u.admin)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+benchDatabase+" WITH (FORCE)").ReadAll()
	return err
}

// dsn is how to reach the run's database at an address.
func (u *upstream) dsn(at address) string {
	return (&url.URL{
		Scheme: "postgres", User: url.User(u.user), Host: at.String(), Path: "/" + u.database,
		RawQuery: "sslmode=disable",
	}).String()
}

// connect opens a session at an address.
func (u *upstream) connect(ctx context.Context, at address) (*pgconn.PgConn, error) {
	return pgconn.Connect(ctx, u.dsn(at))
}

var errNoAnswer = errors.New("no answer")

// ready waits until a server answers a statement.
func (u *upstream) ready(ctx context.Context, p *process, at address) error {
	const patience, pause = 30 * time.Second, 50 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := u.ping(ctx, at)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended (%s): %s", p.name, p.command.ProcessState, p.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("%s: %w within %s: %w: %s", p.name, errNoAnswer, patience, err, p.lastWords())
		case <-time.After(pause):
		}
	}
}

func (u *upstream) ping(ctx context.Context, at address) error {
	conn, err := u.connect(ctx, at)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "SELECT 1").ReadAll()
	return err
}
