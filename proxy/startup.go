package proxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/pgrecall/pgrecall/wire"
)

// SQLSTATEs of pgrecall's own errors (PostgreSQL documentation, appendix "PostgreSQL Error Codes").
const (
	codeProtocolViolation  = "08P01"
	codeConnectionFailure  = "08006"
	codeCannotConnect      = "08001"
	codeTooManyConnections = "53300"
	codeInvalidAuth        = "28000"
	codeAdminShutdown      = "57P01"
	codeQueryCanceled      = "57014"
	codeNotSupported       = "0A000"
	codeIdleSession        = "57P05"
)

// run takes the client through start-up and relays until one side is gone.
func (s *session) run() {
	_ = s.client.SetDeadline(time.Now().Add(s.srv.Limits.StartupTimeout))
	packet, err := s.readStartup()
	if err != nil {
		s.startupFailed(err)
		return
	}
	if packet == nil { // a cancel request, served
		return
	}
	if s.overLimit {
		s.srv.metrics.refused.Inc()
		s.fatal(wire.Fields{Severity: wire.SeverityFatal, Code: codeTooManyConnections, Message: "pgrecall: too many client connections",
			Hint: "Raise limits.max_connections, or close idle connections."})
		return
	}
	s.upstream, err = s.srv.dialUpstream(s.life)
	if err != nil {
		s.srv.metrics.upstreamFails[upstreamConnect].Inc()
		s.srv.Logger.Error("cannot reach the upstream", "error", err, "client", s.client.RemoteAddr().String())
		s.fatal(wire.Fields{Severity: wire.SeverityFatal, Code: codeCannotConnect, Message: "pgrecall: could not connect to the upstream server",
			Hint: "See pgrecall's log; is PostgreSQL running at the address in --upstream?"})
		return
	}
	defer func() { _ = s.upstream.Close() }()
	first, console := packet.Raw, s.srv.consoleStartup(packet)
	if console != nil {
		first, s.console = console, true
	}
	s.identify(packet)
	if _, err := s.upstream.Write(first); err != nil {
		s.startupFailed(err)
		return
	}
	if s.console {
		s.serveConsole(packet.Parameter("user"))
		return
	}
	s.srv.metrics.upstreams.Add(1)
	defer s.srv.metrics.upstreams.Add(-1)
	if packet.Replication() == "physical" {
		s.pipe()
		return
	}
	s.replication = packet.Replication() != ""
	s.startup, s.databaseName = packet, packet.Parameter("database")
	if s.databaseName == "" {
		s.databaseName = packet.Parameter("user")
	}
	s.relay()
}

// readStartup answers SSLRequest and GSSENCRequest and returns the StartupMessage; nil after a cancel request.
// Every kind of request is allowed once, as in PostgreSQL's ProcessStartupPacket.
func (s *session) readStartup() (*wire.Startup, error) {
	var sslDone, gssDone bool
	for {
		packet, err := wire.ReadStartup(s.client)
		if err != nil {
			return nil, err
		}
		switch {
		case packet.Code == wire.CodeSSL && !sslDone:
			sslDone = true
			if s.srv.TLS == nil || s.client.LocalAddr().Network() == "unix" {
				if _, err := s.client.Write([]byte{'N'}); err != nil {
					return nil, err
				}
				continue
			}
			if _, err := s.client.Write([]byte{'S'}); err != nil {
				return nil, err
			}
			// What the client sent in the clear before the handshake is read as a TLS record, and refused.
			encrypted := tls.Server(s.client, s.srv.TLS)
			if err := encrypted.Handshake(); err != nil {
				return nil, errTLS{err}
			}
			s.clientMutex.Lock()
			s.client = encrypted
			s.clientMutex.Unlock()
			s.encrypted, gssDone = true, true
		case packet.Code == wire.CodeGSSEncryption && !gssDone:
			gssDone = true
			if _, err := s.client.Write([]byte{'N'}); err != nil {
				return nil, err
			}
		case packet.Code == wire.CodeCancel:
			s.srv.forwardCancel(packet)
			return nil, nil
		case packet.Code == wire.CodeSSL, packet.Code == wire.CodeGSSEncryption:
			return nil, errRepeated // the upstream would answer it with one byte, which is no message
		default: // a version that is not known, too: the server says what it speaks
			return packet, nil
		}
	}
}

// errRepeated is SSLRequest or GSSENCRequest out of place.
var errRepeated = errors.New("unexpected request for encryption")

// errTLS is a TLS handshake with a client that failed: there is no way to tell the client in PostgreSQL's protocol.
type errTLS struct{ error }

func (e errTLS) Unwrap() error { return e.error }

// startupFailed tells the client what was wrong with its start-up, where it can still hear it.
func (s *session) startupFailed(err error) {
	var timeout net.Error
	var badTLS errTLS
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return // a TCP probe, or a client that changed its mind
	case errors.As(err, &badTLS):
		s.srv.Logger.Info("TLS handshake with a client failed", "error", err)
	case errors.As(err, &timeout) && timeout.Timeout():
		s.srv.Logger.Info("client did not finish its start-up in time")
	default:
		s.srv.Logger.Info("bad start-up packet", "error", err)
		code := codeProtocolViolation
		if errors.Is(err, errRepeated) {
			code = codeNotSupported // PostgreSQL takes it for a version of the protocol that it does not know
		}
		s.fatal(wire.Fields{Severity: wire.SeverityFatal, Code: code, Message: "pgrecall: " + err.Error()})
	}
}

// fatal sends an error of pgrecall's own; the connection is closed by the caller.
func (s *session) fatal(f wire.Fields) {
	s.clientMutex.Lock()
	defer s.clientMutex.Unlock()
	_ = s.client.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = s.client.Write(wire.AppendError(nil, f))
}

// pipe relays bytes both ways and looks at none: physical replication.
func (s *session) pipe() {
	_ = s.client.SetDeadline(time.Time{})
	s.srv.metrics.clients.Add(1)
	defer s.srv.metrics.clients.Add(-1)
	back := make(chan struct{})
	go func() {
		defer close(back)
		_, _ = io.Copy(s.client, s.upstream.Conn)
		_ = s.client.Close()
	}()
	_, _ = io.Copy(s.upstream.Conn, s.client)
	_ = s.upstream.Close()
	<-back
}

// sharesCertificate tells whether pgrecall shows clients the very certificate that the upstream shows to pgrecall. SCRAM binds to its hash
// (RFC 5929, section 4), so channel binding then passes through like everything else.
func (s *session) sharesCertificate() bool {
	upstream, ok := s.upstream.Conn.(*tls.Conn)
	if !ok || !s.encrypted {
		return false
	}
	var ours *tls.Certificate
	if c := s.srv.TLS; c.GetCertificate != nil {
		ours, _ = c.GetCertificate(&tls.ClientHelloInfo{})
	} else if len(c.Certificates) > 0 {
		ours = &c.Certificates[0]
	}
	theirs := upstream.ConnectionState().PeerCertificates
	return ours != nil && len(ours.Certificate) > 0 && len(theirs) > 0 && bytes.Equal(ours.Certificate[0], theirs[0].Raw)
}

// stripChannelBinding removes SCRAM-SHA-256-PLUS from AuthenticationSASL: the channel that it binds to ends here
// (PostgreSQL documentation, "SASL Authentication"). The message is returned as it is when it does not offer it.
func stripChannelBinding(message []byte) []byte {
	scan := wire.Scan(message[wire.HeaderSize:])
	if scan.Int32() != authenticationSASL {
		return message
	}
	out, at := wire.Begin(nil, wire.Authentication)
	out = append(out, 0, 0, 0, authenticationSASL)
	for {
		mechanism := scan.String()
		if !scan.Ok() || len(mechanism) == 0 {
			break
		}
		if !strings.HasSuffix(string(mechanism), "-PLUS") {
			out = wire.AppendString(out, string(mechanism))
		}
	}
	return wire.End(append(out, 0), at)
}

// Authentication requests (section "Message Formats", AuthenticationOk and others).
const (
	authenticationOK   = 0
	authenticationSASL = 10
)

// bindsChannel tells whether a SASLInitialResponse insists that the server should have offered channel
// binding (gs2 flag "y"), or uses it ("p"): RFC 5802, section 7.
func bindsChannel(body []byte) bool {
	scan := wire.Scan(body)
	mechanism := scan.String()
	if !scan.Ok() || !strings.HasPrefix(string(mechanism), "SCRAM-") {
		return false
	}
	scan.Int32()
	flag := scan.Rest()
	return len(flag) > 0 && (flag[0] == 'y' || flag[0] == 'p')
}
