package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"github.com/pgrecall/pgrecall/wire"
)

// Console is a database that pgrecall stands in for itself, for those who operate it. All fields are required.
type Console struct {
	// Takes tells whether a name is that of the console. No database of this name is reached at the upstream while it is.
	Takes func(database string) bool
	// Maintenance is the upstream's database in which it authenticates the console's clients.
	Maintenance string
	// Allows tells whether a role that the upstream has authenticated may use the console.
	Allows func(role string) bool
	// Serve talks to such a client from after its first ReadyForQuery until it returns.
	Serve func(*ConsoleClient)
}

// ConsoleClient is an authenticated client of the console, of which only one goroutine reads and writes.
type ConsoleClient struct {
	Role, Address string

	session *session
	in      *bufio.Reader
}

// consoleWriteTimeout bounds how long a client of the console may leave an answer unread.
const consoleWriteTimeout = 30 * time.Second

// Read reads what the client sends.
func (c *ConsoleClient) Read(p []byte) (int, error) { return c.in.Read(p) }

// Write sends to the client.
func (c *ConsoleClient) Write(p []byte) (int, error) {
	s := c.session
	s.clientMutex.Lock()
	defer s.clientMutex.Unlock()
	_ = s.client.SetWriteDeadline(time.Now().Add(consoleWriteTimeout))
	return s.client.Write(p)
}

// Begin tells that the client waits for something, until end is called. The context ends with a cancel request, whose error is then
// context.Cause's, and with the session. End reports that the session ends, because the server does.
func (c *ConsoleClient) Begin() (ctx context.Context, end func() bool) {
	s := c.session
	ctx, cancel, release := s.beginWait()
	s.wait.Store(&cancel)
	return ctx, func() bool {
		s.wait.Store(nil)
		release()
		if s.closing.Load() {
			s.goodbye()
			return true
		}
		return false
	}
}

// consoleStartup returns the packet that a client of the console is authenticated with, nil where the packet is of none.
func (srv *Server) consoleStartup(packet *wire.Startup) []byte {
	database := packet.Parameter("database")
	if database == "" {
		database = packet.Parameter("user")
	}
	if srv.Console == nil || packet.Major() != 3 || packet.Replication() != "" || !srv.Console.Takes(database) {
		return nil
	}
	return packet.With(wire.Parameter{Name: "user", Value: packet.Parameter("user")}, wire.Parameter{Name: "database", Value: srv.Console.Maintenance},
		// What the console says is UTF-8 with ISO dates; the server tells the client so.
		wire.Parameter{Name: "client_encoding", Value: "UTF8"}, wire.Parameter{Name: "DateStyle", Value: "ISO"}, wire.Parameter{Name: "TimeZone", Value: "UTC"})
}

// serveConsole relays authentication and hands the client over. The upstream has got the start-up packet.
func (s *session) serveConsole(role string) {
	in := bufio.NewReaderSize(s.client, smallBuffer)
	admitted := make(chan bool, 1)
	back := make(chan struct{})
	go func() {
		defer close(back)
		admitted <- s.admit(role)
	}()
	defer func() {
		_ = s.upstream.Close()
		_ = s.client.Close()
		<-back
	}()
	if s.authenticateConsole(in, admitted) {
		s.srv.Console.Serve(&ConsoleClient{Role: role, Address: s.raw.RemoteAddr().String(), session: s, in: in})
	}
}

// authenticateConsole passes the client's side of authentication on, until the client sends something else. It reports whether
// the client was admitted.
func (s *session) authenticateConsole(in *bufio.Reader, admitted <-chan bool) bool {
	for {
		head, err := in.Peek(wire.HeaderSize)
		select {
		case ok := <-admitted:
			return ok && err == nil
		default:
		}
		if err != nil {
			s.startupFailed(err)
			return false
		}
		typ, size, _ := wire.Header(head)
		if typ != wire.Password {
			return s.awaitAdmission(admitted)
		}
		if size < wire.HeaderSize || size > maxAuthentication {
			s.fatal(wire.Fields{Severity: wire.SeverityFatal, Code: codeProtocolViolation, Message: "pgrecall: invalid message length"})
			return false
		}
		message := make([]byte, size)
		if _, err := io.ReadFull(in, message); err != nil {
			s.startupFailed(err)
			return false
		}
		if s.handlePassword(message) || s.sendUpstream(message) != nil {
			return false
		}
	}
}

// awaitAdmission waits for the upstream's answer to a client that has sent ahead what only the console can read.
func (s *session) awaitAdmission(admitted <-chan bool) bool {
	patience := time.NewTimer(s.srv.Limits.StartupTimeout)
	defer patience.Stop()
	select {
	case ok := <-admitted:
		return ok
	case <-s.life.Done():
	case <-patience.C:
		s.fatal(wire.Fields{Severity: wire.SeverityFatal, Code: codeProtocolViolation, Message: "pgrecall: expected a password response"})
	}
	return false
}

// errTorn is an upstream that is gone before it has answered.
var errTorn = errors.New("upstream closed the connection during authentication")

// admit passes on to the client what the upstream says until its first ReadyForQuery, and ends the connection to the upstream then. It
// reports whether the client may use the console; where not, the client knows why, and is closed.
func (s *session) admit(role string) bool {
	refuse := func(f wire.Fields) bool {
		_, _ = s.upstream.Write([]byte(wire.TerminateMessage))
		_ = s.upstream.Close()
		f.Severity = wire.SeverityFatal
		s.fatal(f)
		_ = s.client.Close()
		return false
	}
	notAllowed := wire.Fields{Code: codeInvalidAuth, Message: `role "` + role + `" is not permitted to use the console`,
		Hint: "pgrecall's setting console.roles names the roles that are."}
	in := bufio.NewReaderSize(s.upstream, smallBuffer)
	var out []byte
	for {
		message, err := nextMessage(in)
		if err != nil {
			s.srv.Logger.Info("cannot authenticate a client of the console", "error", errors.Join(errTorn, err))
			return refuse(wire.Fields{Code: codeConnectionFailure, Message: "pgrecall: the upstream server closed the connection unexpectedly"})
		}
		body := message[wire.HeaderSize:]
		switch message[0] {
		case wire.Authentication:
			scan := wire.Scan(body)
			switch scan.Int32() {
			case authenticationOK:
				if !scan.Ok() || !s.srv.Console.Allows(role) {
					return refuse(notAllowed)
				}
			case authenticationSASL:
				if s.upstream.encrypted && !s.sharesCertificate() {
					message = stripChannelBinding(message)
				}
			}
		case wire.ParameterStatus:
			// A server that maps names when it authenticates (db_user_namespace) tells whom it has taken the client for.
			scan := wire.Scan(body)
			if name, value := scan.String(), scan.String(); string(name) == "session_authorization" && string(value) != role {
				return refuse(notAllowed)
			}
		case wire.BackendKeyData:
			s.registerCancelKey(body)
		case wire.ReadyForQuery:
			_, _ = s.upstream.Write([]byte(wire.TerminateMessage))
			_ = s.upstream.Close()
			_ = s.client.SetDeadline(time.Time{})
		}
		out = append(out, message...)
		if in.Buffered() > 0 && message[0] != wire.ErrorResponse && message[0] != wire.ReadyForQuery {
			continue
		}
		s.answer(out)
		switch out = out[:0]; message[0] {
		case wire.ErrorResponse:
			_ = s.client.Close()
			return false
		case wire.ReadyForQuery:
			return true
		}
	}
}

// nextMessage reads a message of the upstream, none of which is long before the first ReadyForQuery.
func nextMessage(in *bufio.Reader) ([]byte, error) {
	head, err := in.Peek(wire.HeaderSize)
	if err != nil {
		return nil, err
	}
	_, size, _ := wire.Header(head)
	if size < wire.HeaderSize || size > maxAuthentication {
		return nil, errUpstreamProtocol
	}
	message := make([]byte, size)
	_, err = io.ReadFull(in, message)
	return message, err
}
