package warm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// ErrNotPgrecall says that what the target names answers like a PostgreSQL of its own: nothing there would be cached.
var ErrNotPgrecall = errors.New("no notice in answer to SET pgrecall.trace: the target is not a pgrecall, or one that can't read the catalog (its /readyz tells)")

// Times of the wait for a notice: pgrecall sends none until it has loaded the catalog.
const (
	noticeWait  = 10 * time.Second
	noticePause = 50 * time.Millisecond
)

// cancelWait is how long a query that was cancelled may take to end.
const cancelWait = time.Second

// client is one connection through pgrecall.
type client struct {
	*pgconn.PgConn
	heard notice // the latest
	scope string
}

// notice is what a notice of pgrecall.trace says.
type notice struct{ source, outcome, reason, scope string }

var noticed = regexp.MustCompile(`^pgrecall: source=(\S+)(?: .*?\boutcome=(\S+))?(?: reason=(\S+))?(?:.* scope=([0-9a-f]+))?$`) //nolint:gochecknoglobals // constant

// dial connects with these parameters of the start-up besides those of the target; nil are those of the target alone, others replace them.
func dial(ctx context.Context, target *pgx.ConnConfig, session map[string]string, timeout time.Duration) (*client, error) {
	c := &client{}
	config := target.Config.Copy()
	if session != nil {
		config.RuntimeParams = maps.Clone(session)
	}
	config.RuntimeParams["application_name"] = "pgrecall warm"
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if m := noticed.FindStringSubmatch(n.Message); m != nil {
			c.heard = notice{m[1], m[2], m[3], m[4]}
		}
	}
	// PostgreSQL is told when nobody waits any more.
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: cancelWait}
	}
	var err error
	if c.PgConn, err = pgconn.ConnectConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("connect through pgrecall: %w", err)
	}
	if err := c.prepare(ctx, timeout); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// prepare bounds what the session does and waits for the first notice, which tells the scope.
func (c *client) prepare(ctx context.Context, timeout time.Duration) error {
	for _, sql := range []string{"SET statement_timeout = " + strconv.FormatInt(max(timeout.Milliseconds(), 1), 10), "SET pgrecall.trace = on"} {
		if err := c.exec(ctx, sql); err != nil {
			return fmt.Errorf("prepare the session: %w", err)
		}
	}
	for begun := time.Now(); ; {
		if err := c.exec(ctx, "SHOW pgrecall.trace"); err != nil {
			return fmt.Errorf("prepare the session: %w", err)
		}
		if c.scope = c.heard.scope; c.scope != "" {
			return nil
		}
		if time.Since(begun) > noticeWait {
			return ErrNotPgrecall
		}
		select {
		case <-time.After(noticePause): // pgrecall tells nobody when it has loaded the catalog
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *client) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.Close(ctx)
}

// exec runs a simple query of pgrecall's own that returns nothing of interest.
func (c *client) exec(ctx context.Context, sql string) error {
	_, err := c.Exec(ctx, sql).ReadAll()
	return err
}

// row returns the values of a query's only row.
func (c *client) row(ctx context.Context, sql string) ([]string, error) {
	results, err := c.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return nil, errors.New("not one row")
	}
	values := make([]string, 0, len(results[0].Rows[0]))
	for _, v := range results[0].Rows[0] {
		values = append(values, string(v))
	}
	return values, nil
}

// ask sends a query as its client did, in a read-only transaction, and returns what pgrecall says of the answer. A transaction that
// could write is never open, whatever the analysis thought of the query.
func (c *client) ask(ctx context.Context, q *Query) (notice, error) {
	if err := c.exec(ctx, "BEGIN READ ONLY"); err != nil {
		return notice{}, err
	}
	c.heard = notice{}
	err := c.send(ctx, q)
	heard := c.heard
	if !c.IsClosed() {
		end := c.exec(ctx, "COMMIT")
		err = errors.Join(err, end)
	}
	return heard, err
}

// send sends a query and passes its rows over.
func (c *client) send(ctx context.Context, q *Query) error {
	if q.Protocol == Simple {
		results := c.Exec(ctx, q.SQL)
		for results.NextResult() {
			pass(results.ResultReader())
		}
		return results.Close()
	}
	// Describe of the statement, too: drivers ask for it before the first Bind, and its answer has an entry of its own.
	if _, err := c.Prepare(ctx, "", q.SQL, q.ParamTypes); err != nil {
		return err
	}
	params := make([][]byte, len(q.Params))
	for i, p := range q.Params {
		params[i] = p
	}
	reader := c.ExecPrepared(ctx, "", params, q.ParamFormats, q.ResultFormats)
	pass(reader)
	_, err := reader.Close()
	return err
}

func pass(reader *pgconn.ResultReader) {
	for reader.NextRow() { // the rows go to the cache, not here
	}
}
