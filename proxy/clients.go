package proxy

import (
	"cmp"
	"slices"
	"time"

	"github.com/pgrecall/pgrecall/wire"
)

// Client is one connection of a client.
type Client struct {
	PID       uint32 // of its backend at the upstream, 0 before that is known; of a client of the console, of the one that authenticated it
	Role      string // that it asks for, "" before it has
	Database  string
	Address   string
	Encrypted bool
	State     string // one of the constants
	Connected time.Time
}

// Values of Client.State.
const (
	ClientStarting      = "starting" // until the upstream has accepted it
	ClientIdle          = "idle"
	ClientActive        = "active" // waits for an answer
	ClientInTransaction = "idle in transaction"
	ClientFailed        = "idle in transaction (aborted)"
	ClientReplication   = "replication" // physical: passed through unseen
	ClientConsole       = "console"
)

// clientIdentity is what a client's start-up packet says, with how it came.
type clientIdentity struct {
	role, database       string
	encrypted            bool
	console, replication bool
}

// Clients returns the connections of this moment, the oldest first.
func (srv *Server) Clients() []Client {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	list := make([]Client, 0, len(srv.sessions))
	for s := range srv.sessions {
		c := Client{Address: s.raw.RemoteAddr().String(), State: ClientStarting, Connected: s.connected}
		id := s.identity.Load()
		if id != nil {
			c.Role, c.Database, c.Encrypted = id.role, id.database, id.encrypted
		}
		if s.cancelKey != "" { // written under mu, after the process's number
			c.PID = s.backendPID
		}
		switch {
		case id == nil:
		case id.replication:
			c.State = ClientReplication
		case id.console && s.cancelKey != "":
			c.State = ClientConsole
		case s.status.Load() == 0:
		case s.pending.Load() > s.background.Load() || s.wait.Load() != nil:
			c.State = ClientActive
		default:
			switch byte(s.status.Load()) {
			case wire.StatusInTransaction:
				c.State = ClientInTransaction
			case wire.StatusFailed:
				c.State = ClientFailed
			default:
				c.State = ClientIdle
			}
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Client) int {
		return cmp.Or(a.Connected.Compare(b.Connected), cmp.Compare(a.Address, b.Address))
	})
	return list
}

// identify publishes what the client's start-up packet says.
func (s *session) identify(packet *wire.Startup) {
	id := clientIdentity{role: packet.Parameter("user"), database: packet.Parameter("database"), encrypted: s.encrypted, console: s.console,
		replication: packet.Replication() == "physical"}
	if id.database == "" {
		id.database = id.role
	}
	s.identity.Store(&id)
}
