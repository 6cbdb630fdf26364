package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// startTimeout bounds a start and a stop of a server, on a busy machine.
const startTimeout = 60 * time.Second

// Server is a PostgreSQL cluster in a temporary directory with its postmaster. Its superuser
// is postgres; everybody is trusted unless [WithHBA] says otherwise.
type Server struct {
	inst      installation
	account   account
	directory string // holds all of the below
	data      string
	socketDir string
	log       string
	port      string
	tls       bool
	shared    bool
	guard     *guard
	databases atomic.Uint64 // how many NewDatabase made

	mu      sync.Mutex
	process *process // nil while stopped
}

// StartServer makes a new cluster and starts it. The context bounds the start only. The caller
// owns the server and closes it.
func StartServer(ctx context.Context, opts ...Option) (*Server, error) {
	var o options
	for _, option := range opts {
		option(&o)
	}
	inst, err := o.installation(ctx)
	if err != nil {
		return nil, fmt.Errorf("pgtest: %w", err)
	}
	as, err := serverAccount()
	if err != nil {
		return nil, fmt.Errorf("pgtest: %w", err)
	}
	s := &Server{inst: inst, account: as, tls: o.tls}
	if err := s.prepare(ctx, &o); err != nil {
		return nil, errors.Join(fmt.Errorf("pgtest: prepare a cluster: %w", err), s.Close())
	}
	if err := s.Start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("pgtest: %w", err), s.Close())
	}
	return s, nil
}

// prepare makes the directories, files and the guard of a server.
func (s *Server) prepare(ctx context.Context, o *options) error {
	var err error
	if s.directory, err = s.account.temporaryDirectory(); err != nil {
		return err
	}
	s.data = filepath.Join(s.directory, "data")
	s.socketDir = s.directory
	s.log = filepath.Join(s.directory, "server.log")
	if s.guard, err = newGuard(filepath.Join(s.data, "postmaster.pid"), s.directory); err != nil {
		return err
	}
	if err := newDataDirectory(ctx, s.inst, s.account, s.data); err != nil {
		return err
	}
	if o.tls {
		if err := s.writeCertificates(); err != nil {
			return err
		}
	}
	if s.port, err = freePort(); err != nil {
		return err
	}
	conf, err := os.OpenFile(filepath.Join(s.data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = conf.WriteString(o.configuration(s))
	if err := errors.Join(err, conf.Close()); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.data, "pg_hba.conf"), []byte(o.authentication()), 0o600)
}

// Start starts a server that [Server.Stop] or [Server.Kill] ended, on the same port, and
// returns when it accepts connections.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		return errors.New("start PostgreSQL: it is running")
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := s.spawn(ctx)
		if err == nil {
			return nil
		}
		// After a crash the backends need a moment to notice that the postmaster has gone.
		if !strings.Contains(s.logTail(), "pre-existing shared memory block") || ctx.Err() != nil {
			return fmt.Errorf("start PostgreSQL: %w\n%s", err, s.logTail())
		}
	}
}

// spawn runs the postmaster and waits until it answers.
func (s *Server) spawn(ctx context.Context) error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the server has its own copy
	command := exec.Command(filepath.Join(s.inst.bin, "postgres"), "-D", s.data)
	command.Dir = s.directory
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = s.account.attributes()
	p, err := start(command, syscall.SIGQUIT)
	if err != nil {
		return err
	}
	for {
		err := s.ping(ctx)
		if err == nil {
			s.process = p
			return nil
		}
		select {
		case <-p.done:
			return errors.New("the postmaster ended")
		case <-ctx.Done():
			return errors.Join(err, p.signal(syscall.SIGQUIT))
		case <-time.After(10 * time.Millisecond): // PostgreSQL tells nobody that it is ready
		}
	}
}

// ping connects over the socket, which only this server can own, while its TCP port might be
// somebody else's.
func (s *Server) ping(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, "host="+s.socketDir+" port="+s.port+" user=postgres dbname=postgres sslmode=disable")
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// Stop ends the server as pg_ctl's mode "fast" does: transactions are rolled back, clients are
// told, data is written. It returns when the server has ended.
func (s *Server) Stop(ctx context.Context) error { return s.end(ctx, syscall.SIGINT) }

// Kill ends the postmaster with SIGKILL, as a crash does; the next Start recovers.
func (s *Server) Kill(ctx context.Context) error { return s.end(ctx, syscall.SIGKILL) }

// Restart stops the server and starts it again, on the same port.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	return s.Start(ctx)
}

// end sends the signal and waits. Ending a server that does not run is no error.
func (s *Server) end(ctx context.Context, sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.process.signal(sig); err != nil {
		return err
	}
	select {
	case <-s.process.done:
		s.process = nil
		return nil
	case <-ctx.Done():
		return fmt.Errorf("PostgreSQL did not end: %w", ctx.Err())
	}
}

// Close ends the server at once and removes all that it had. A second Close does nothing.
func (s *Server) Close() error {
	if s.guard == nil {
		return nil
	}
	err := s.end(context.Background(), syscall.SIGQUIT)
	if removeErr := os.RemoveAll(s.directory); err == nil {
		err = removeErr
	}
	err = errors.Join(err, s.guard.dismiss())
	s.guard = nil
	return err
}

// Host returns the address that the server listens on: 127.0.0.1.
func (s *Server) Host() string { return "127.0.0.1" }

// Port returns the TCP port of the server, which is also the number in its socket's name.
func (s *Server) Port() int {
	port, _ := strconv.Atoi(s.port) // was made from a number
	return port
}

// Address returns host:port.
func (s *Server) Address() string { return net.JoinHostPort(s.Host(), s.port) }

// SocketDir returns the directory of the server's Unix socket.
func (s *Server) SocketDir() string { return s.socketDir }

// DataDir returns the cluster's data directory.
func (s *Server) DataDir() string { return s.data }

// Bin returns the directory of the binaries that the server was started from. Those from npm are
// initdb, postgres and pg_ctl only.
func (s *Server) Bin() string { return s.inst.bin }

// Version returns the server's major version, as "15".
func (s *Server) Version() string { return s.inst.major() }

// Log returns the path of the server's log.
func (s *Server) Log() string { return s.log }

// DSN returns a connection string for a database as the superuser postgres, over TCP and
// without TLS.
func (s *Server) DSN(database string) string { return s.DSNAs("postgres", database) }

// DSNAs returns a connection string for a database as some user, over TCP and without TLS.
func (s *Server) DSNAs(user, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.User(user), Host: s.Address(), Path: "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Exec runs SQL, several statements at will, in a database as the superuser.
func (s *Server) Exec(ctx context.Context, database, sql string) error {
	conn, err := pgx.Connect(ctx, s.DSN(database))
	if err != nil {
		return err
	}
	_, err = conn.PgConn().Exec(ctx, sql).ReadAll()
	return errors.Join(err, conn.Close(ctx))
}

// logTail returns the last part of the server's log.
func (s *Server) logTail() string {
	const most = 4 << 10
	content, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	if len(content) > most {
		content = content[len(content)-most:]
	}
	return string(content)
}
