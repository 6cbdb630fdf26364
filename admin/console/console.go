package console

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/pgrecall/pgrecall/admin"
)

// Proxy is what the console shows and acts on. Its methods may be called at any time from any goroutine.
type Proxy interface {
	// Status returns the figures of this moment.
	Status() admin.Status
	// Ready returns nil when clients can be served from the cache, else the reason why not.
	Ready() error
	// Tiers returns the tiers of the cache.
	Tiers() []Tier
	// Tables returns what is known of at most n tables, those with the most traffic first.
	Tables(n int) []Table
	// Statements returns what is known of at most n shapes of statements, those that take the upstream the most time first.
	Statements(n int) []Statement
	// Clients returns the connections of this moment.
	Clients() []Client
	// Settings returns the configuration that is in force, secrets left out.
	Settings() []Setting
	// Flush removes what is cached, here and in what is shared with others. An error is the request's fault.
	Flush(context.Context, admin.Selection) (admin.Flushed, error)
	// Pause stops serving and filling until Resume.
	Pause()
	Resume()
	Paused() bool
	// Reload reads the configuration anew. It returns what the operator has to know, or why nothing has changed.
	Reload() (warnings []string, err error)
	// Explain tells what becomes of a statement, as names and values.
	Explain(ctx context.Context, q Question) ([]Item, error)
}

// Conn is a client that has been authenticated and has got its first ReadyForQuery.
type Conn interface {
	io.Reader
	io.Writer
	// Begin tells that the client waits for something, until end is called. The context ends with a cancel request and with the client. End reports
	// that the process ends, and that the client has been told.
	Begin() (ctx context.Context, end func() (over bool))
}

// Tier is a tier of the cache. What is nil is not known.
type Tier struct {
	Name              string
	Up                bool
	Entries           *int64
	Bytes, LimitBytes *int64
	Evictions         *int64
	Hits, Misses      *int64
}

// Table is a table or view of one of the upstream's databases.
type Table struct {
	Database, Name string // the name with its schema
	// Rule is the first rule that holds for every statement that reads this table alone, "" for none: the defaults hold then. Partly are
	// rules before that one which hold for some of these statements.
	Rule, Partly string
	Cached       bool // false: the rule says never
	TTL          time.Duration
	Consistency  string
	Traffic      *Traffic // nil while it is not measured
}

// Traffic counts what became of statements.
type Traffic struct{ Hits, Misses, Bypasses, Writes, Invalidations int64 }

// Statement is a shape of statements in one database.
type Statement struct {
	Fingerprint string // hexadecimal
	Database    string
	Query       string // $n for constants; "" where there is no such form
	Tables      string
	Rule        string
	Traffic     *Traffic // nil while it is not measured
	// Bypassed is how often it was not cached for Reason, with Detail naming what is in the way, nil for never.
	Bypassed       *int64
	Reason, Detail string
	SecondsSaved   *float64 // of the upstream's time
	Seconds        float64  // of the upstream's time that it took
	MaxSeconds     *float64 // nil while it is not measured
	Last           time.Time
	Worth          *admin.Worth // nil while too little was measured
}

// Client is a connection.
type Client struct {
	PID                     int64 // 0 while it is not known
	Role, Database, Address string
	Encrypted               bool
	State                   string
	Connected               time.Time
}

// Setting is one setting of the configuration.
type Setting struct {
	Name, Value, Default string
	Reload               bool // RELOAD can change it
	Pending              bool // the file says something else, which needs a restart
}

// Question is what EXPLAIN asks.
type Question struct {
	SQL            string
	Database, User string // "" for those of pgrecall's own account
}

// Item is one line of an explanation.
type Item struct{ Name, Value string }

// ErrUnavailable is the error of what this process can't do.
var ErrUnavailable = errors.New("not possible in this process")

// Options of a Server. All are required.
type Options struct {
	Proxy  Proxy
	Logger *slog.Logger
}

// Server answers clients of the console.
type Server struct{ Options }

// NewServer returns a server.
func NewServer(o Options) (*Server, error) {
	if o.Proxy == nil || o.Logger == nil {
		return nil, errors.New("console: incomplete options")
	}
	return &Server{o}, nil
}
