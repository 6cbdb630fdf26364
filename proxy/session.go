package proxy

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/pgrecall/pgrecall/proxy/observe"
	"github.com/pgrecall/pgrecall/wire"
)

// session is one client with its upstream connection.
type session struct {
	srv          *Server
	raw          net.Conn // the client's connection as it was accepted
	client       net.Conn // the same, or TLS on it; replaced under clientMutex
	upstream     *upstreamConn
	connected    time.Time                      // when it was accepted
	identity     atomic.Pointer[clientIdentity] // for Clients
	console      bool                           // a client of the console; set before the session is found by its cancelKey
	encrypted    bool                           // TLS with the client
	overLimit    bool
	replication  bool // replication=database: commands of a walsender besides SQL
	databaseName string
	startup      *wire.Startup
	database     *database // set at AuthenticationOk
	cancelKey    string    // body of BackendKeyData; written before the session is found by it
	backendPID   uint32

	life     context.Context    // ends with the session, or when it has to end
	die      context.CancelFunc // ends life
	done     chan struct{}      // closed when the relay ends
	doneOnce sync.Once
	authOK   chan struct{} // closed at AuthenticationOk

	// clientMutex guards writes to the client. Pending is decremented and status written under it, after the answers have been
	// written, so that whoever holds it and sees nothing pending may write.
	clientMutex sync.Mutex
	pending     atomic.Int32  // forwarded messages whose answers the client has not got
	background  atomic.Int32  // of these, what nobody waits for; for a moment it may be counted here only
	answers     atomic.Uint32 // that the client has got
	status      atomic.Uint32

	mu       sync.Mutex // guards queue and skipping
	skipping bool       // after an error the server skips all up to a Sync that has not been forwarded yet
	queue    queue
	notFull  *sync.Cond

	settingsDirty atomic.Bool // the upstream reported a setting that changed
	confused      atomic.Bool // the upstream's messages are not those expected: relay only
	closing       atomic.Bool // Shutdown waits for this session to be idle
	leaving       atomic.Bool // the client has said goodbye, or is gone
	decodable     atomic.Bool // texts mean to the server what they mean to package parser
	violated      atomic.Bool // the client sent what can't be framed
	waiting       atomic.Bool // in a flight of another session
	wasCancelled  atomic.Bool // ... and a cancel request came
	interrupt     chan struct{}
	wait          atomic.Pointer[context.CancelCauseFunc] // of the frontend side's wait for the fleet, nil while there is none
	revoked       atomic.Bool                             // a cancel request ended such a wait, and the session with it
	said          atomic.Bool                             // the server has told why it ended the session
	lost          atomic.Bool                             // the upstream ended it without a word

	who atomic.Pointer[observe.Who] // nil until the observer is told, or without one

	frontend frontend
	backend  backend
}

// frontend is the state of the frontend side. Only its goroutine touches it.
type frontend struct {
	in        inbox
	at        int    // offset in it of the message in hand
	received  int64  // cache.Monotonic when the bytes in hand came
	canonical []byte // scratch
	out       []byte // scratch

	database *database
	scope    *scope // what a key needs to know of the session, nil while that is not known
	epoch    uint64 // Server.settingsEpoch that scope belongs to
	noProbe  int64  // no probe before this time: the last one failed

	// Of the cycle in hand; see startCycle.
	known            bool // the session was idle when it began, so status is what the server's will be
	unsynced         bool // extended-query messages were forwarded and no Sync: a transaction may be open that status does not show
	clean            bool // nothing but pure reads was forwarded since the session was last seen idle and could be served
	settingsInFlight bool // settings may change by something that is not answered yet
	dropped          bool // the message in hand was answered here

	tally      tally               // of the whole session
	counted    cache.Uses          // of the last hit, nil for nobody
	parent     observe.SpanContext // of the statement in hand, where there is an observer
	told       observe.Statement   // scratch
	untilTimed int                 // hits until one is measured for its shape
	boarded    int64               // when the miss in hand was noticed, 0: there is none
	untilHot   int                 // hits until one is noted
	untilCheck int                 // hits until one is verified
	fetched    []*cache.Entry      // that came from L2 in this cycle
	fetches    int                 // such answers that were counted and not measured yet
	due        due                 // to be filled anew
	filled     filled
	// Settings that are followed without asking the server; see change.go and custom.go.
	defined       string         // settings with a dot that extensions define, each between \x01
	customs       *customs       // values of watched custom settings, nil while they are not known
	change        *settingChange // under way
	block         block
	changed       bool   // settings have been changed since the session began, or DISCARD ALL
	first         *scope // of the session before that
	firstEpoch    uint64
	learning      *settingChange // its effect is what the next probe shows
	tenantScope   *scope         // of tenantDigest
	tenantCustoms *customs
	tenantDigest  [32]byte

	temporary     bool               // the session has made temporary relations
	temporaryView bool               // ... that may run something: views, tables with triggers or defaults
	pureBlock     bool               // the open transaction block is READ COMMITTED and has only read
	isolated      bool               // the open transaction block was begun with another isolation level
	blockFence    *invalidator.Fence // what the open block wrote: fenced when it may commit
	blockOn       *catalog.Snapshot  // catalog that blockFence was computed with
	openFence     *invalidator.Fence // raised, waits for the Sync that ends its cycle
	canceled      bool               // the statement that was foreseen last must not be sent

	statements map[string]*prepared // named ones
	unnamed    *prepared
	// upstreamUnnamed tells that the upstream holds an unnamed statement; without one in unnamed, the client has to
	// believe it destroyed.
	upstreamUnnamed bool
	portals         map[string]*portal
	cycle           cycle
	cycles          uint64      // cycles and simple queries so far
	doubtful        []*prepared // in statements, until the server's answers are there
	ending          []*prepared // of these, what the statement in hand drops
	cursors         bool        // SQL may have made cursors: they share their names with portals
	inQuery         bool        // a simple query is in hand, with no cycle open before it
	injected        bool        // ... and extended-query messages of pgrecall's own were sent before it
	copyIn          bool        // between CopyInResponse and CopyDone of an Execute
	skipBytes       int         // of a message too long for the inbox that are still to be forwarded
}

// scope is a policy's scope with what else a probe tells.
type scope struct {
	cachepolicy.Scope
	identity      [32]byte // as Digest, with pgrecall's own settings in it
	utf8          bool     // client_encoding is UTF8
	mode          string   // pgrecall.cache: "", on, off, shadow
	consistency   string   // pgrecall.consistency: "", strict, session, ttl
	trace         bool     // pgrecall.trace
	readCommitted bool     // default_transaction_isolation
}

// relay runs both sides until one of them ends, and settles what is left.
func (s *session) relay() {
	began := time.Now()
	s.srv.metrics.clients.Add(1)
	defer s.srv.metrics.clients.Add(-1)
	s.notFull = sync.NewCond(&s.mu)
	s.authOK = make(chan struct{})
	s.interrupt = make(chan struct{}, 1)
	s.push(expectation{kind: expectStartup})

	backendDone := make(chan struct{})
	go func() {
		defer close(backendDone)
		err := s.backendLoop()
		s.end()
		s.upstreamGone(err)
	}()
	s.frontendLoop()
	s.leaving.Store(true)
	// Let the upstream work off what was sent before it reads our end: what was forwarded counts.
	s.halfClose()
	drained := time.NewTimer(drainTime)
	defer drained.Stop()
	select {
	case <-backendDone:
	case <-drained.C:
	}
	s.end()
	_ = s.upstream.Close()
	_ = s.client.Close()
	<-backendDone
	s.settle()
	s.logEnd(began)
}

// drainTime bounds how long a session whose client has left waits for its upstream to finish.
const drainTime = 5 * time.Second

// end wakes everything that waits in this session.
func (s *session) end() {
	s.doneOnce.Do(func() {
		close(s.done)
		s.die() // before mu is waited for: a wait may hold it
		s.mu.Lock()
		s.notFull.Broadcast()
		s.mu.Unlock()
	})
}

func (s *session) halfClose() {
	if c, ok := s.upstream.Conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
}

// upstreamGone tells a client that still waits why it gets no answer, and closes it.
func (s *session) upstreamGone(err error) {
	select {
	case <-s.authOK:
	default:
		_ = s.client.Close() // the server has said what was wrong
		return
	}
	s.said.Store(s.backend.saidFatal)
	if !s.backend.saidFatal && !s.leaving.Load() {
		s.lost.Store(true)
		s.srv.suspectCrash(s.database)
	}
	switch {
	case s.backend.saidFatal || s.backend.torn:
	case s.violated.Load():
		s.fatal(wire.Fields{Severity: wire.SeverityFatal, Code: codeProtocolViolation, Message: "pgrecall: invalid message length"})
	case s.revoked.Load():
		s.fatal(wire.Fields{Severity: wire.SeverityFatal, Code: codeQueryCanceled, Message: "pgrecall: canceling statement due to user request",
			Detail: "The statement waited for the other pgrecalls. It was not sent to the server."})
	case !s.leaving.Load():
		s.srv.metrics.upstreamFails[upstreamLost].Inc()
		f := wire.Fields{Severity: wire.SeverityFatal, Code: codeConnectionFailure, Message: "pgrecall: the upstream server closed the connection unexpectedly",
			Hint: "Connect again; whether the last statement took effect is not known."}
		s.fatal(f)
		s.srv.Logger.Debug("upstream connection lost", "error", err)
	}
	_ = s.client.Close()
}

// settle finishes fills and hands fences whose outcome is unknown to the orphans.
func (s *session) settle() {
	s.finishFlight()
	s.mu.Lock()
	defer s.mu.Unlock()
	left := &invalidator.Fence{}
	for s.queue.n > 0 {
		e := s.queue.pop()
		e.abandon()
		s.tellUnanswered(&e)
		if e.fence.Raised() {
			left.Merge(s.srv.slots, e.fence)
		}
	}
	for _, f := range []*invalidator.Fence{s.backend.heldFence, s.frontend.openFence} {
		if f.Raised() {
			left.Merge(s.srv.slots, f)
		}
	}
	if f := s.frontend.blockFence; f.Raised() {
		left.Merge(s.srv.slots, f)
	}
	if left.Raised() {
		s.srv.orphans.adopt(s, left)
	}
}

// abandon ends what waits for an answer that will not come.
func (e *expectation) abandon() {
	e.fill.abort()
	if e.aside != nil {
		e.aside.verification.fail()
		if e.kind == expectSync {
			e.aside.verification.synced()
		}
	}
	if e.probe != nil && e.kind == expectSync {
		e.probe.finish(nil)
	}
	if e.copyGate != nil {
		e.copyGate <- wire.ErrorResponse
	}
	if e.prepared != nil && e.kind == expectParse {
		if e.swallow {
			e.prepared.lost.Store(true)
		} else {
			e.prepared.failed.Store(true)
		}
	}
}

// push notes that a message was forwarded, before it is.
func (s *session) push(e expectation) {
	s.mu.Lock()
	if s.queue.n >= queueLimit { // what it waits for must have been sent
		s.mu.Unlock()
		s.flushBefore()
		s.mu.Lock()
	}
	for s.queue.n >= queueLimit && !s.ended() {
		s.notFull.Wait()
	}
	if s.skipping && e.kind != expectSync { // no answer will come
		s.mu.Unlock()
		e.abandon()
		if e.fence.Raised() {
			s.frontend.openFence = e.fence
		}
		return
	}
	s.skipping = false
	s.queue.push(e)
	if e.background {
		s.background.Add(1)
	}
	s.pending.Add(1)
	s.mu.Unlock()
}

func (s *session) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// idle tells whether the client has got an answer to everything that was forwarded.
func (s *session) idle() bool {
	if s.pending.Load() == 0 {
		return true
	}
	// The answer may be on its way: the backend side writes it and then says so under the mutex.
	s.clientMutex.Lock()
	defer s.clientMutex.Unlock()
	return s.pending.Load() <= s.background.Load()
}

// closeWhenIdle ends the session at once when it is idle outside a transaction block, else as soon as it is.
func (s *session) closeWhenIdle() {
	s.closing.Store(true)
	if !s.clientMutex.TryLock() { // somebody writes to the client: it is not idle
		return
	}
	idle := s.pending.Load() <= s.background.Load() && byte(s.status.Load()) != wire.StatusInTransaction && byte(s.status.Load()) != wire.StatusFailed && s.wait.Load() == nil
	s.clientMutex.Unlock()
	if idle {
		s.goodbye()
	}
}

// goodbye tells the client what PostgreSQL would when it is shut down, and closes the connection.
func (s *session) goodbye() {
	s.fatal(wire.Fields{Severity: wire.SeverityFatal, Code: codeAdminShutdown, Message: "terminating connection due to administrator command"})
	s.kill()
}

// kill closes the client's connection and ends waits for the fleet; the session's goroutines then end.
func (s *session) kill() {
	_ = s.raw.Close()
	s.die()
}

// cancelWait wakes the session when it waits for the result of another one, or for the fleet.
func (s *session) cancelWait() {
	if cancel := s.wait.Load(); cancel != nil {
		(*cancel)(errCancelRequest)
	}
	if s.waiting.Load() {
		s.wasCancelled.Store(true)
		select {
		case s.interrupt <- struct{}{}:
		default:
		}
	}
}
