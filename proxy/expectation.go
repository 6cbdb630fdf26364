package proxy

import (
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/pgrecall/pgrecall/wire"
)

// expectKind says what a forwarded message will be answered with.
type expectKind uint8

const (
	expectStartup      expectKind = iota // authentication and all up to the first ReadyForQuery
	expectQuery                          // anything up to ReadyForQuery
	expectFunctionCall                   // FunctionCallResponse and ReadyForQuery
	expectParse                          // ParseComplete
	expectBind                           // BindComplete
	expectDescribe                       // [ParameterDescription] RowDescription or NoData
	expectExecute                        // rows, CommandComplete, EmptyQueryResponse or PortalSuspended
	expectClose                          // CloseComplete
	expectSync                           // ReadyForQuery
)

// endsCycle tells whether ReadyForQuery answers it.
func (k expectKind) endsCycle() bool {
	return k == expectStartup || k == expectQuery || k == expectFunctionCall || k == expectSync
}

// expectation is one message that was forwarded and is not answered yet.
type expectation struct {
	kind    expectKind
	swallow bool // injected by pgrecall: the client must not see the answer
	quiet   bool // ... nor an error
	// background messages are pgrecall's own that nobody waits for; a notice in the answer is not for the client either.
	background bool

	outcome  outcome
	fill     *fill
	portal   *portal
	prepared *prepared   // expectParse, expectClose
	ending   []*prepared // statements that are dropped if it succeeds
	probe    *probe
	aside    *aside
	fence    *invalidator.Fence // released with ReadyForQuery
	copyGate chan byte          // expectExecute of COPY FROM STDIN: tells the frontend side what came
	sent     int64              // cache.Monotonic, for expectQuery and expectExecute
	plan     *plan              // for these two; nil when nothing is known, or the statement is pgrecall's own
	reason   cachepolicy.Reason // why it is not cached
	noted    *noted             // for the observer, nil without one
}

// aside is what few expectations have.
type aside struct {
	verification *verification // the answer is for it
	change       *settingChange
	standIn      *standIn // may answer in place of an error
	renewal      *fill    // the answer is for it: a refresh
	notice       []byte   // a NoticeResponse message that goes before the end of the answer
	canceled     bool     // a message that is an error was sent in place of the client's
}

// noticed returns the end of an answer with the notice that goes before it, nil where there is none.
func (e *expectation) noticed(typ byte, message []byte) []byte {
	if e.aside == nil || e.aside.notice == nil || message == nil {
		return nil
	}
	switch typ {
	case wire.CommandComplete, wire.EmptyQueryResponse, wire.PortalSuspended, wire.ErrorResponse:
		b := e.aside.notice
		if e.fill != nil && e.fill.large {
			b = traceForwarded(e.plan, e.outcome, cachepolicy.ReasonResultLarge)
		}
		e.aside.notice = nil
		return append(b, message...)
	}
	return nil
}

// queueLimit bounds the messages of one client that are unanswered: the frontend side then waits.
const queueLimit = 1 << 16

// queue is the FIFO of expectations: a ring that grows. It is guarded by session.mu.
type queue struct {
	ring []expectation
	head int
	n    int
}

func (q *queue) push(e expectation) {
	if q.n == len(q.ring) {
		size := 2 * q.n
		if size == 0 {
			size = 4
		}
		ring := make([]expectation, size)
		for i := range q.n {
			ring[i] = q.ring[(q.head+i)%len(q.ring)]
		}
		q.ring, q.head = ring, 0
	}
	q.ring[(q.head+q.n)%len(q.ring)] = e
	q.n++
}

// front returns the oldest expectation, nil when there is none. It is valid until the next push or pop.
func (q *queue) front() *expectation {
	if q.n == 0 {
		return nil
	}
	return &q.ring[q.head]
}

// second returns the one behind the front, nil when there is none. It is valid as long as that of front.
func (q *queue) second() *expectation {
	if q.n < 2 {
		return nil
	}
	return &q.ring[(q.head+1)%len(q.ring)]
}

func (q *queue) pop() expectation {
	e := q.ring[q.head]
	q.ring[q.head] = expectation{}
	q.head = (q.head + 1) % len(q.ring)
	q.n--
	if q.n == 0 && len(q.ring) > 64 { // a long pipeline is over: give the memory back
		*q = queue{}
	}
	return e
}
