package observe

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/pgrecall/pgrecall/parser"
)

// Observer is told of statements. Its methods are called from any goroutine, and hold up a client as long as they take.
type Observer interface {
	// Ready tells whether answers from the cache may be given: false while nobody could be told of them who has to be.
	Ready() bool
	// Ended is called once for each statement, before the client has the answer where that comes from the cache. The Statement is the caller's again
	// when it returns; what it points to is immutable.
	Ended(*Statement)
}

// Tiers that an answer comes from.
const (
	TierMemory   = "l1"
	TierShared   = "l2"
	TierUpstream = "upstream"
)

// Statement is a statement that has ended.
type Statement struct {
	Who     *Who
	Role    string // current_user, "" where it is not known
	Outcome string // as in pgrecall_statements_total
	Tier    string
	// Parsed is what the text means, nil where it was not read.
	Parsed *parser.Statement
	Tables []string // that it reads from, or where Outcome is write, writes to, as schema.name; empty where that is not known
	Reason string   // why it was not answered from the cache, "" for no special one
	Stale  string   // why it was answered from the cache past its lifetime, "" where it was not
	Failed bool     // the client got an error, or no answer at all
	Code   string   // SQLSTATE of the error, "" where there is none

	Parent SpanContext   // of the application
	Took   time.Duration // from the arrival of its message to the end of its answer
	// Upstream is how long the server had it, 0 where it was not sent.
	Upstream time.Duration
}

// Cached tells whether the client got what was in the cache.
func (s *Statement) Cached() bool { return s.Tier != TierUpstream }

// Fingerprint is 0 where it is not known. It may parse the text once more.
func (s *Statement) Fingerprint() uint64 {
	if s.Parsed == nil {
		return 0
	}
	return s.Parsed.Fingerprint()
}

// Who is whose session it is. It is not copied.
type Who struct {
	User, Database, Application string
	Client                      string // address, "local" for a Unix socket

	once   sync.Once
	fields []byte
}

// JSON returns the fields as the middle of a JSON object. It is made once, and not to be changed.
func (w *Who) JSON() []byte {
	w.once.Do(func() {
		object, _ := json.Marshal(map[string]string{"user": w.User, "database": w.Database, "application_name": w.Application, "client": w.Client}) // never fails
		w.fields = object[1 : len(object)-1]
	})
	return w.fields
}

// Several tells several observers, nil for none. Nil ones are left out.
func Several(observers ...Observer) Observer {
	var list several
	for _, o := range observers {
		if o != nil {
			list = append(list, o)
		}
	}
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	return list
}

type several []Observer

// Ready implements Observer.
func (list several) Ready() bool {
	for _, o := range list {
		if !o.Ready() {
			return false
		}
	}
	return true
}

// Ended implements Observer.
func (list several) Ended(s *Statement) {
	for _, o := range list {
		o.Ended(s)
	}
}
