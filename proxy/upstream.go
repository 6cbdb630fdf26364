package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrecall/pgrecall/wire"
)

// errNoTLS says that the upstream declined SSLRequest where sslmode demands TLS.
var errNoTLS = errors.New("upstream does not offer TLS, but sslmode requires it")

// connectTimeout bounds one attempt to reach the upstream where the DSN has no connect_timeout.
const connectTimeout = 10 * time.Second

// upstreamConn is a connection to the upstream before its start-up packet.
type upstreamConn struct {
	net.Conn
	encrypted bool
	target    *pgconn.FallbackConfig
}

// dialUpstream connects to the first host of the DSN that answers, with TLS as its sslmode says
// (PostgreSQL documentation, "SSL Session Encryption").
func (srv *Server) dialUpstream(ctx context.Context) (*upstreamConn, error) {
	c := srv.Upstream
	targets := append([]*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}}, c.Fallbacks...)
	timeout := c.ConnectTimeout
	if timeout <= 0 {
		timeout = connectTimeout
	}
	var failures []error
	for _, target := range targets {
		conn, err := dialTarget(ctx, target, timeout)
		if err == nil {
			return conn, nil
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

func dialTarget(ctx context.Context, target *pgconn.FallbackConfig, timeout time.Duration) (*upstreamConn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	network, address := "tcp", net.JoinHostPort(target.Host, strconv.Itoa(int(target.Port)))
	if strings.HasPrefix(target.Host, "/") {
		network, address = "unix", target.Host+"/.s.PGSQL."+strconv.Itoa(int(target.Port))
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if target.TLSConfig == nil || network == "unix" {
		return &upstreamConn{Conn: conn, target: target}, nil
	}
	encrypted, err := startTLS(ctx, conn, target.TLSConfig)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	return &upstreamConn{Conn: encrypted, encrypted: true, target: target}, nil
}

func startTLS(ctx context.Context, conn net.Conn, config *tls.Config) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
		defer func() { _ = conn.SetDeadline(time.Time{}) }()
	}
	if _, err := conn.Write(sslRequest); err != nil {
		return nil, err
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return nil, fmt.Errorf("answer to SSLRequest: %w", err)
	}
	if answer[0] != 'S' {
		return nil, errNoTLS
	}
	client := tls.Client(conn, config)
	if err := client.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS with the upstream: %w", err)
	}
	return client, nil
}

// sslRequest is the SSLRequest packet.
var sslRequest = []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}

// forwardCancel passes a CancelRequest on to the upstream and wakes the session that it is for, where that waits for
// another one's result. Where the upstream is at work on something of pgrecall's own, that ends, and the request is sent once more for what
// the client waits for. The client's connection stays open until then: it takes the end of it for the end of the matter.
func (srv *Server) forwardCancel(packet *wire.Startup) {
	srv.mu.Lock()
	s := srv.cancelKeys[string(packet.Raw[8:])]
	srv.mu.Unlock()
	ctx, cancel := context.WithTimeout(srv.ctx, connectTimeout)
	defer cancel()
	if s == nil {
		_ = srv.sendCancel(ctx, packet, nil)
		return
	}
	s.cancelWait()
	if s.console { // its connection to the upstream is over
		return
	}
	answers, behind := s.behind()
	if srv.sendCancel(ctx, packet, s) && behind && s.awaitForeground(ctx) && s.answers.Load() == answers {
		_ = srv.sendCancel(ctx, packet, s)
	}
}

// behind tells whether the client waits for an answer that comes behind what is pgrecall's own, and how many it has got.
func (s *session) behind() (answers uint32, behind bool) {
	s.clientMutex.Lock()
	defer s.clientMutex.Unlock()
	background := s.background.Load()
	return s.answers.Load(), background > 0 && s.pending.Load() > background
}

// awaitForeground waits until nothing of pgrecall's own is under way upstream.
func (s *session) awaitForeground(ctx context.Context) bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s.background.Load() > 0 {
		select {
		case <-tick.C:
		case <-s.done:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// sendCancel sends a CancelRequest on a connection of its own to the upstream, the host that the session is connected to where there is
// one, and tells whether the server has got it.
func (srv *Server) sendCancel(ctx context.Context, packet *wire.Startup, s *session) bool {
	var conn *upstreamConn
	var err error
	if s != nil {
		conn, err = dialTarget(ctx, s.upstream.target, connectTimeout)
	} else {
		conn, err = srv.dialUpstream(ctx)
	}
	if err != nil {
		srv.Logger.Warn("cannot forward a cancel request", "error", err)
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(connectTimeout))
	if _, err := conn.Write(packet.Raw); err != nil {
		srv.Logger.Warn("cannot forward a cancel request", "error", err)
		return false
	}
	// The server closes the connection once the signal has been sent: clients wait for that.
	_, _ = conn.Read(make([]byte, 1))
	return true
}
