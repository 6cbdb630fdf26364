package warm

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/pgrecall/pgrecall/parser"
)

// judge tells what may be asked for: the same analysis as the proxy's, made here before anything is sent.
type judge struct {
	snapshot *catalog.Snapshot
	scope    *cachepolicy.Scope
	policy   *cachepolicy.Policy
}

// newJudge reads the catalog of a database, straight from the server: what its loading does in a transaction of its own would count as a write
// to everything if it went through pgrecall.
func newJudge(ctx context.Context, upstream *pgx.ConnConfig, scope *cachepolicy.Scope, policy *cachepolicy.Policy) (*judge, error) {
	config := upstream.Copy()
	config.Database, config.DefaultQueryExecMode = scope.Database, pgx.QueryExecModeExec // many different queries, once
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the upstream: %w", err)
	}
	defer hangUp(conn)
	snapshot, err := catalog.Load(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("cannot read the catalog: %w", err)
	}
	return &judge{snapshot: snapshot, scope: scope, policy: policy}, nil
}

// hangUp closes a connection to the upstream, which may be out of reach.
func hangUp(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

// refuse tells why a text must not be sent, "" for a cacheable read.
func (j *judge) refuse(sql string) string {
	statement, directive := analyze(sql)
	if statement.Err == nil && len(statement.Commands) == 0 {
		return "empty"
	}
	d := cachepolicy.Decide(statement, j.scope, j.snapshot, j.policy)
	t := invalidator.Touches(statement, j.scope.Schemas, catalog.Temporary{}, j.snapshot, j.policy.Declared)
	switch {
	case d.Verdict != cachepolicy.Cache && d.Detail != "":
		return fmt.Sprintf("%s (%s)", d.Reason, d.Detail)
	case d.Verdict != cachepolicy.Cache:
		return string(d.Reason)
	case !t.Nothing() || t.Definition || t.Settings || t.AllSettings || t.Temp || t.Locks:
		return string(cachepolicy.ReasonNotRead)
	case directive.Off:
		return string(cachepolicy.ReasonDirective)
	}
	return ""
}

// analyze reads a text as the proxy does.
func analyze(sql string) (*parser.Statement, parser.Directive) {
	canonical, directive, ok := parser.Canonicalize(nil, sql)
	if !ok {
		return parser.Analyze(sql), directive
	}
	return parser.Analyze(string(canonical)), directive
}

// Shape returns a statement's text without constants, "" where there is none.
func shape(sql string) string {
	text, err := parser.Normalize(sql)
	if err != nil {
		return ""
	}
	if len(text) > shapeLimit {
		text = strings.ToValidUTF8(text[:shapeLimit], "") + " ..."
	}
	return text
}

// shapeLimit bounds the texts in reports, in bytes.
const shapeLimit = 1000
