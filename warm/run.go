package warm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/cachepolicy"
)

// Options of a run. Target, Upstream and Policy are required.
type Options struct {
	// Target is the way through pgrecall, with the role that is warmed for.
	Target *pgx.ConnConfig
	// Upstream is the way to PostgreSQL itself, with an account that may read the catalog.
	Upstream *pgx.ConnConfig
	// Policy is pgrecall's own, as far as it is known here: what it rules out is not asked for. It has passed Compile.
	Policy *cachepolicy.Policy
	// Concurrency is the number of queries at a time, Timeout bounds each of them (statement_timeout), MaxErrors is the number of errors in
	// a row that ends the run. Zero values mean 4, 30 s and 10.
	Concurrency int
	Timeout     time.Duration
	MaxErrors   int
	// DryRun: tell what would be asked for, and ask for nothing.
	DryRun bool
	// Progress is called after each result, by one goroutine at a time; the report belongs to Run. Nil for none.
	Progress func(*Report)
}

// Pauses of a run.
const (
	lookTimeout = time.Minute            // for pgrecall's look at the catalog, and our own
	fencedPause = 250 * time.Millisecond // before what a write kept from being cached is asked for again
	fencedTries = 4
	grace       = 10 * time.Second // that an answer may take beyond Timeout
)

// errStopped is the cause of a run's end by errors.
var errStopped = errors.New("too many errors in a row")

// Run asks for the queries. The report is what was done until the end or the error; the error is of the connection or the context, or says
// why the run gave up.
func Run(ctx context.Context, items []Item, o Options) (*Report, error) {
	o.setDefaults()
	r := &run{Options: o, report: &Report{Total: len(items), Reasons: map[string]int{}, Queries: []Result{}}}
	begun := time.Now()
	err := r.all(ctx, items)
	r.report.Seconds = time.Since(begun).Seconds()
	if err != nil {
		r.report.Stopped = err.Error()
	}
	return r.report, err
}

func (o *Options) setDefaults() {
	if o.Concurrency <= 0 {
		o.Concurrency = 4
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.MaxErrors <= 0 {
		o.MaxErrors = 10
	}
}

type run struct {
	Options
	judge *judge

	mu     sync.Mutex
	report *Report
	failed int // errors in a row
	last   string
	give   context.CancelCauseFunc
}

func (r *run) all(ctx context.Context, items []Item) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.give = cancel
	var err error
	if r.judge, err = look(ctx, &r.Options); err != nil {
		return err
	}
	r.report.Database, r.report.User = r.judge.scope.Database, r.judge.scope.SessionUser
	for _, g := range r.sort(items) {
		if err := r.group(ctx, g); err != nil {
			return err
		}
		if cause := context.Cause(ctx); errors.Is(cause, errStopped) {
			return fmt.Errorf("gave up after %d errors in a row, the last: %s", r.MaxErrors, r.last)
		} else if cause != nil {
			return cause
		}
	}
	return nil
}

// look waits until pgrecall knows the catalog, and reads the same.
func look(ctx context.Context, o *Options) (*judge, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	c, err := dial(ctx, o.Target, nil, o.Timeout)
	if err != nil {
		return nil, err
	}
	defer c.close()
	scope := &cachepolicy.Scope{ID: 1}
	names, err := c.row(ctx, `SELECT pg_catalog.current_database(), session_user, current_user, `+schemas)
	if err != nil {
		return nil, fmt.Errorf("read the session's names: %w", err)
	}
	scope.Database, scope.SessionUser, scope.CurrentUser, scope.Schemas = names[0], names[1], names[2], strings.Split(names[3], "\x01")
	return newJudge(ctx, o.Upstream, scope, o.Policy)
}

// schemas is current_schemas as one value.
const schemas = `pg_catalog.array_to_string(pg_catalog.current_schemas(true), E'\x01')`

// group are items that one kind of session can ask for.
type group struct {
	session map[string]string
	scope   string
	items   []*Item
}

// sort reports what this role or database can't ask for, and puts the rest into groups.
func (r *run) sort(items []Item) []*group {
	var groups []*group
	byKey := map[string]*group{}
	for i := range items {
		item := &items[i]
		why := item.Skip
		if why == "" {
			why = strange(&item.Query, r.judge.scope)
		}
		if why != "" {
			r.note(item, Skipped, why, 0)
			continue
		}
		text, _ := json.Marshal(item.Session) // a map of strings
		key := item.Scope + string(text)
		g := byKey[key]
		if g == nil {
			g = &group{session: item.Session, scope: item.Scope}
			byKey[key], groups = g, append(groups, g)
		}
		g.items = append(g.items, item)
	}
	return groups
}

// strange tells why a query is not for a connection with this scope to ask for.
func strange(q *Query, scope *cachepolicy.Scope) string {
	switch {
	case q.Database != "" && q.Database != scope.Database:
		return fmt.Sprintf("database %s: warm with --target in that database", q.Database)
	case q.User != "" && q.User != scope.SessionUser:
		return fmt.Sprintf("role %s: warm with --target as that role", q.User)
	case q.Role != "" && q.Role != scope.CurrentUser:
		return fmt.Sprintf("role %s: its session had used SET ROLE", q.Role)
	case len(q.Settings) > 0:
		return "depends on settings of the session: " + strings.Join(q.Settings, ", ")
	}
	return ""
}

// dial connects as the group's sessions were: with the target's own parameters where these give the same scope, else with theirs.
func (r *run) dial(ctx context.Context, g *group) (*client, error) {
	c, err := dial(ctx, r.Target, nil, r.Timeout)
	if err != nil || g.scope == "" || c.scope == g.scope {
		return c, err
	}
	c.close()
	theirs := g.session
	if theirs == nil {
		theirs = map[string]string{}
	}
	if c, err = dial(ctx, r.Target, theirs, r.Timeout); err != nil || c.scope == g.scope {
		return c, err
	}
	c.close()
	return nil, errOtherSettings
}

// errOtherSettings says that a session cannot be made that has the settings of the one that asked.
var errOtherSettings = errors.New("the session that asked had other settings: give them as parameters of --target")

// group asks for the items of one group.
func (r *run) group(ctx context.Context, g *group) error {
	first, err := r.dial(ctx, g)
	if errors.Is(err, errOtherSettings) {
		for _, item := range g.items {
			r.note(item, Skipped, err.Error(), 0)
		}
		return nil
	}
	if err != nil {
		return err
	}
	names, err := first.row(ctx, "SELECT "+schemas)
	if err != nil {
		first.close()
		return fmt.Errorf("read current_schemas: %w", err)
	}
	scope := *r.judge.scope
	scope.Schemas = strings.Split(names[0], "\x01")
	judge := &judge{r.judge.snapshot, &scope, r.judge.policy}
	queue := make(chan *Item)
	var work sync.WaitGroup
	for n := range min(r.Concurrency, len(g.items)) {
		c := first
		if n > 0 {
			c = nil
		}
		work.Go(func() { r.worker(ctx, g, c, queue) })
	}
	for _, item := range g.items {
		why := judge.refuse(item.SQL)
		if why == "" && !r.DryRun {
			select {
			case queue <- item:
				continue
			case <-ctx.Done():
			}
			break
		}
		if why != "" {
			r.note(item, Skipped, why, 0)
		} else {
			r.note(item, Eligible, "", 0)
		}
	}
	close(queue)
	work.Wait()
	return nil
}

// worker asks for items until the queue is closed or ctx ends. It owns the connection c, nil where it is still to be made.
func (r *run) worker(ctx context.Context, g *group, c *client, queue <-chan *Item) {
	defer func() {
		if c != nil {
			c.close()
		}
	}()
	for item := range queue {
		if ctx.Err() != nil {
			continue
		}
		begun := time.Now()
		outcome, reason, err := "", "", error(nil)
		if c == nil || c.IsClosed() {
			c, err = r.dial(ctx, g)
		}
		if err == nil {
			outcome, reason, err = r.load(ctx, c, item)
		}
		if ctx.Err() != nil {
			continue // its error is not the query's
		}
		if err != nil {
			outcome, reason = Failed, describe(err)
		}
		r.note(item, outcome, reason, time.Since(begun))
	}
}

// load asks for an item until it is in the cache, and tells what came of it.
func (r *run) load(ctx context.Context, c *client, item *Item) (outcome, reason string, err error) {
	outcome = Present
	for fenced, misses := 0, 0; fenced < fencedTries && misses < 2; {
		bounded, cancel := context.WithTimeout(ctx, r.Timeout+grace)
		heard, err := c.ask(bounded, &item.Query)
		cancel()
		switch {
		case err != nil:
			return "", "", err
		case heard.source != "" && heard.source != "upstream", heard.reason == string(cachepolicy.ReasonShadow):
			return outcome, "", nil
		case heard.outcome == "miss": // it is loaded if it is there the next time
			outcome = Loaded
			misses++
		case heard.reason == string(cachepolicy.ReasonFenced):
			fenced++
			select {
			case <-time.After(fencedPause):
			case <-ctx.Done():
				return "", "", ctx.Err()
			}
		case heard.source == "":
			return Skipped, "pgrecall said nothing of it", nil
		default:
			return Skipped, heard.reason, nil
		}
	}
	return Skipped, "it changed all the time while it was read", nil
}

// note adds a result.
func (r *run) note(item *Item, outcome, reason string, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.add(item, outcome, reason, took)
	switch {
	case outcome == Failed:
		r.last = reason
		if r.failed++; r.failed >= r.MaxErrors {
			r.give(errStopped)
		}
	case outcome != Skipped:
		r.failed = 0
	}
	if r.Progress != nil {
		r.Progress(r.report)
	}
}

// Frequent lists the reasons of a report, the most frequent first.
func (r *Report) Frequent() []string {
	reasons := make([]string, 0, len(r.Reasons))
	for reason := range r.Reasons {
		reasons = append(reasons, reason)
	}
	slices.SortFunc(reasons, func(a, b string) int {
		if n := r.Reasons[b] - r.Reasons[a]; n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	return reasons
}
