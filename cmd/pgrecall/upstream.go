package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/config"
)

// upstream is the server behind pgrecall, with pgrecall's own account on it where there is one.
type upstream struct {
	config     *pgx.ConnConfig
	hasAccount bool
}

func parseUpstream(c *config.Config, env func(string) string) (upstream, error) {
	if c.Upstream == "" {
		return upstream{}, errors.New("no upstream: give --upstream postgres://host:port/database, or set DATABASE_URL")
	}
	parsed, err := pgx.ParseConfig(c.Upstream)
	if err != nil {
		return upstream{}, fmt.Errorf("upstream: %w", err)
	}
	// Catalog queries are many, different and rare.
	parsed.DefaultQueryExecMode = pgx.QueryExecModeExec
	parsed.RuntimeParams["application_name"] = "pgrecall"
	return upstream{parsed, namesUser(c.Upstream) || env("PGUSER") != ""}, nil
}

// userKey finds user= in a DSN of keywords and values.
var userKey = regexp.MustCompile(`(^|\s)user\s*=`)

// namesUser tells whether the operator gave an account: pgx puts the name of the operating
// system's user where nobody did, which is rarely a role.
func namesUser(dsn string) bool {
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		u, err := url.Parse(dsn)
		return err == nil && (u.User.Username() != "" || u.Query().Get("user") != "")
	}
	return userKey.MatchString(dsn)
}

// address is what may be shown of the upstream.
func (u upstream) address() string {
	return net.JoinHostPort(u.config.Host, strconv.Itoa(int(u.config.Port)))
}
