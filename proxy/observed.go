package proxy

import (
	"net"
	"slices"
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/proxy/observe"
	"github.com/pgrecall/pgrecall/wire"
)

// What the observer is told: of answers from the cache before the client has them, of statements that are forwarded when their answer has come.

// noted is what is known of a statement that is forwarded.
type noted struct {
	parent   observe.SpanContext
	received int64 // cache.Monotonic when its message came
	role     string
}

// ending is how the statement, or the cycle, that is being answered ends.
type ending struct {
	bad   bool   // with an error
	code  string // of that
	stale bool   // with an answer from the cache in place of an error
}

// parsedContext is a trace context that came with a Parse message.
type parsedContext struct {
	observe.SpanContext
	at int64 // cache.Monotonic, when it came
}

// contextAge is for how long executions of a prepared statement belong to the trace that its text names. Drivers that keep statements by their text prepare
// anew for another trace; what an application itself prepares once and executes for hours names the trace of the first time only.
const contextAge = time.Minute

// answers tells whether the observer lets the cache answer.
func (srv *Server) answers() bool { return srv.Observer == nil || srv.Observer.Ready() }

// traceContext returns the context that a comment of the text names.
func traceContext(text []byte, d parser.Directive) observe.SpanContext {
	if d.TraceEnd == 0 {
		return observe.SpanContext{}
	}
	return observe.ParseComment(text[d.TraceAt:d.TraceEnd])
}

// again notes that the Parse message of a statement came once more.
func (s *session) again(p *prepared) {
	if p.parent != nil {
		p.parent.at = s.now()
	}
}

// belongsTo notes the trace of a prepared statement that is executed, nil for one that is not known.
func (s *session) belongsTo(p *prepared) {
	if s.srv.Observer == nil {
		return
	}
	s.frontend.parent = observe.SpanContext{}
	if p != nil && p.parent != nil && s.frontend.received-p.parent.at < int64(contextAge) {
		s.frontend.parent = p.parent.SpanContext
	}
}

// note notes the statement in hand, which is forwarded.
func (s *session) note() *noted {
	f := &s.frontend
	if s.srv.Observer == nil {
		return nil
	}
	o := &noted{parent: f.parent, received: f.received}
	if f.scope != nil {
		o.role = f.scope.CurrentUser
	}
	return o
}

// tellHit tells of an answer from the cache that the client is about to get.
func (s *session) tellHit(o outcome, entry *cache.Entry) {
	f := &s.frontend
	f.told = observe.Statement{
		Who: s.whose(), Outcome: outcomeNames[o], Tier: observe.TierMemory, Parsed: entry.Source.Statement,
		Tables: entry.Source.Tables, Parent: f.parent, Took: time.Duration(cache.Monotonic() - f.received),
	}
	if o == outcomeHitShared {
		f.told.Tier = observe.TierShared
	}
	if f.scope != nil {
		f.told.Role = f.scope.CurrentUser
	}
	f.told.Stale = s.staleness(entry)
	s.srv.Observer.Ended(&f.told)
}

// tell tells of a statement that was forwarded and has its answer. The caller holds mu.
func (s *session) tell(e *expectation) {
	if s.srv.Observer == nil || e.outcome >= outcomeProbe || e.swallow {
		return
	}
	end := &s.backend.ending
	now := cache.Monotonic()
	told := observe.Statement{
		Who: s.whose(), Outcome: outcomeNames[e.outcome], Tier: observe.TierUpstream, Failed: end.bad, Code: end.code,
		Took: time.Duration(now - e.sent), Upstream: time.Duration(now - e.sent),
	}
	if p := e.plan; p != nil {
		told.Parsed, told.Tables = p.statement, p.tables
	}
	if e.outcome == outcomeBypass || e.reason == cachepolicy.ReasonResultLarge {
		told.Reason = string(e.reason)
	}
	if e.fill != nil && e.fill.large {
		told.Reason = string(cachepolicy.ReasonResultLarge)
	}
	if e.noted != nil {
		told.Parent, told.Role, told.Took = e.noted.parent, e.noted.role, time.Duration(now-e.noted.received)
	}
	if end.stale {
		told.Tier, told.Stale = observe.TierMemory, staleNames[staleError]
	}
	s.srv.Observer.Ended(&told)
}

// failed notes the error that answers an expectation, or that an entry of the cache stands in for it.
func (end *ending) failed(e *expectation, message []byte, stoodIn bool) {
	*end = ending{bad: !stoodIn, stale: stoodIn}
	switch {
	case stoodIn || message == nil:
	case e.aside != nil && e.aside.canceled:
		end.code = codeQueryCanceled
	default:
		end.code = string(wire.ErrorField(message[wire.HeaderSize:], 'C'))
	}
}

// tellRefused tells of a statement that is never executed because the server refused what comes before its Execute message, which the client has not
// sent. The caller holds mu.
func (s *session) tellRefused(e *expectation) {
	if e.kind != expectParse || e.swallow || e.prepared == nil || e.prepared.statement == nil || slices.ContainsFunc(s.queue.cycle(), func(e expectation) bool { return e.kind == expectExecute }) {
		return
	}
	refused := expectation{kind: expectParse, outcome: outcomeOther, sent: e.sent, plan: &plan{statement: e.prepared.statement}}
	if p := e.prepared.parent; p != nil {
		refused.noted = &noted{parent: p.SpanContext, received: e.sent}
	}
	s.tell(&refused)
}

// tellUnanswered tells of a statement whose answer will not come.
func (s *session) tellUnanswered(e *expectation) {
	if e.kind != expectQuery && e.kind != expectExecute && e.kind != expectFunctionCall {
		return
	}
	if end := &s.backend.ending; !end.bad {
		*end = ending{bad: true}
		if s.lost.Load() {
			end.code = codeConnectionFailure
		}
	}
	s.tell(e)
}

// cycle returns the expectations up to the end of the first cycle, in a slice of their own.
func (q *queue) cycle() (list []expectation) {
	for i := range q.n {
		e := q.ring[(q.head+i)%len(q.ring)]
		if list = append(list, e); e.kind.endsCycle() {
			break
		}
	}
	return list
}

// whose says whose session it is.
func (s *session) whose() *observe.Who {
	if w := s.who.Load(); w != nil {
		return w
	}
	s.who.CompareAndSwap(nil, s.newWho(s.startup.Parameter("application_name")))
	return s.who.Load()
}

func (s *session) newWho(application string) *observe.Who {
	w := &observe.Who{User: s.startup.Parameter("user"), Database: s.databaseName, Application: application, Client: s.raw.RemoteAddr().String()}
	if _, local := s.raw.RemoteAddr().(*net.UnixAddr); local {
		w.Client = "local"
	}
	return w
}
