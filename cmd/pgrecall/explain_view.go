package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/cachepolicy/lint"
	"github.com/pgrecall/pgrecall/catalog"
)

// view is what explain knows of the upstream: its catalog and a session's scope.
type view struct {
	snapshot *catalog.Snapshot
	scope    *cachepolicy.Scope
	notes    []string
}

// look connects with pgrecall's own account, reads the catalog and finds out where a session of
// user ("" for the account itself) looks for names. It changes nothing upstream.
func look(ctx context.Context, up upstream, user string) (_ *view, err error) {
	conn, err := pgx.ConnectConfig(ctx, up.config)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the upstream: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	snapshot, err := catalog.Load(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("cannot read the catalog: %w", err)
	}
	v := &view{snapshot: snapshot}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("cannot begin: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if user != "" {
		if err := v.become(ctx, tx, user); err != nil {
			return nil, err
		}
	}
	v.scope = &cachepolicy.Scope{ID: 1}
	if err := tx.QueryRow(ctx, "SELECT current_database(), current_user, current_schemas(true)").
		Scan(&v.scope.Database, &v.scope.CurrentUser, &v.scope.Schemas); err != nil {
		return nil, fmt.Errorf("cannot read current_schemas: %w", err)
	}
	if user != "" {
		v.scope.CurrentUser = user
	}
	v.scope.SessionUser = v.scope.CurrentUser
	return v, nil
}

// searchPath finds the search_path that a role starts with, the more specific setting first
// (PostgreSQL's manual, ALTER ROLE).
const searchPath = `SELECT substr(c, length('search_path=') + 1)
FROM pg_catalog.pg_db_role_setting s
LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) c
WHERE c LIKE 'search\_path=%'
AND (d.datname = current_database() OR s.setdatabase = 0)
AND (r.rolname = $1 OR s.setrole = 0)
ORDER BY s.setrole = 0, s.setdatabase = 0 LIMIT 1`

// become makes the transaction look for names as a session of the role would, as far as the
// account may.
func (v *view) become(ctx context.Context, tx pgx.Tx, user string) error {
	var exists bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = $1)", user).Scan(&exists); err != nil {
		return fmt.Errorf("cannot look for the role: %w", err)
	}
	if !exists {
		return fmt.Errorf("--user: the upstream has no role %q", user)
	}
	var path string
	switch err := tx.QueryRow(ctx, searchPath, user).Scan(&path); {
	case err == nil:
		if _, err := tx.Exec(ctx, "SELECT set_config('search_path', $1, true)", path); err != nil {
			return fmt.Errorf("cannot take over the role's search_path: %w", err)
		}
	case !errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("cannot read the role's settings: %w", err)
	}
	// A subtransaction, because a refusal would fail the whole one.
	sub, err := tx.Begin(ctx)
	if err != nil {
		return fmt.Errorf("cannot begin: %w", err)
	}
	if _, err := sub.Exec(ctx, "SET LOCAL ROLE "+pgx.Identifier{user}.Sanitize()); err != nil {
		v.notes = append(v.notes, fmt.Sprintf("pgrecall's account may not become %s: a schema named by \"$user\" is that of the account", user))
		return sub.Rollback(ctx)
	}
	return sub.Commit(ctx)
}

// askServer asks the upstream what check needs besides the catalog.
func askServer(ctx context.Context, up upstream) (_ *lint.Server, err error) {
	conn, err := pgx.ConnectConfig(ctx, up.config)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the upstream: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	server, err := lint.Ask(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the upstream: %w", err)
	}
	return server, nil
}
