package pgtest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// Start starts a server for one test. It is closed when the test has ended; a failed test
// shows the end of the server's log.
func Start(tb testing.TB, opts ...Option) *Server {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // may fetch binaries
	defer cancel()
	s, err := StartServer(ctx, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("end of the server's log:\n%s", s.logTail())
		}
		if err := s.Close(); err != nil {
			tb.Errorf("close PostgreSQL: %v", err)
		}
	})
	return s
}

// sharedServer is the server of Shared. It is the one piece of state of this package: sharing
// it is its purpose, and it is written once.
var sharedServer = sync.OnceValues(func() (*Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	s, err := StartServer(ctx)
	if err == nil {
		s.shared = true
	}
	return s, err
})

// Shared returns a server with the default options that all tests of this process share; tests
// keep to databases of their own (see [Server.NewDatabase]) and neither stop the server nor
// change roles or settings of the cluster. Nobody closes it: it ends with the process. One
// goroutine, which goleak finds as (*process).run, waits for it.
func Shared(tb testing.TB) *Server {
	tb.Helper()
	s, err := sharedServer()
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// NewDatabase makes an empty database and returns its DSN. On a shared server it is dropped
// when the test has ended.
func (s *Server) NewDatabase(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("test_%d", s.databases.Add(1))
	if err := s.Exec(context.Background(), "postgres", "CREATE DATABASE "+name); err != nil {
		tb.Fatalf("create a database: %v", err)
	}
	if s.shared {
		tb.Cleanup(func() {
			if err := s.Exec(context.Background(), "postgres", "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
				tb.Errorf("drop a database: %v", err)
			}
		})
	}
	return s.DSN(name)
}
