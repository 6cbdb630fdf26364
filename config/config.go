package config

import (
	"slices"
	"time"

	"github.com/pgrecall/pgrecall/cachepolicy"
)

// Config is everything that pgrecall can be told. Load returns it valid; it is not changed after.
type Config struct {
	// File is the path of the file that was read, "" without one.
	File string

	// Upstream is the DSN of the PostgreSQL behind pgrecall. It may hold a password: never log it.
	Upstream string
	// Listen are the addresses for clients: host:port or unix:/dir.
	Listen []string
	// TLSCert and TLSKey are PEM files for clients' connections; both or none.
	TLSCert, TLSKey string

	// Admin is the address of the admin HTTP server, "" for none.
	Admin string
	// AdminHosts are names that requests to the admin server may have in their Host header, besides
	// addresses, localhost and the host of Admin.
	AdminHosts []string
	// Series is how many tables, and shapes of statements, have time series of their own.
	Series int
	// AdminToken is what POST requests to the admin server need, "" for nothing. A secret.
	AdminToken string

	// Cache is on, off or shadow.
	Cache string
	// Verify is the share of answers from the cache that are checked against the upstream, 0 to 1.
	Verify float64
	// Redis is the URL of L2, "" for none. It may hold a password.
	Redis string
	// Memcached is the URL of memcached servers that hold the results of L2, "" for none.
	Memcached string
	// L2KeyFile is a file with the keys that seal what is kept in L2, "" for none.
	L2KeyFile string
	// L2Namespace is the first part of names in L2, for installations that share a Redis.
	L2Namespace string
	// L2Tenant says whose results can be flushed alone: none, user or setting:NAME.
	L2Tenant string
	// L2Lease is how long the others wait for a pgrecall that fell silent.
	L2Lease time.Duration
	// L1Size is the bound of L1 in bytes.
	L1Size int64
	// StatementCache is the bound of the cache of analysed statements in bytes.
	StatementCache int64
	// EarlyRefresh is how early hot results are refreshed: 1 is optimal, 0 is never.
	EarlyRefresh float64
	// Auto stops caching shapes that lose by it, for a while.
	Auto bool
	// FlightWait is how long a miss waits for another one with the same key.
	FlightWait time.Duration

	// Replication is auto, on or off.
	Replication string
	// CatalogInterval is the time between two looks at the upstream's catalog.
	CatalogInterval time.Duration
	// CatalogWait is how long a statement waits for the catalog to be loaded anew, 0 for not at all.
	CatalogWait time.Duration

	// ConsoleDatabase is the name of the database that is the console, and ConsoleRoles are those who may use it: without any there is none.
	ConsoleDatabase string
	ConsoleRoles    []string

	// Warm is about warming.
	Warm Warm

	// MaxConnections is the number of client connections above which new ones are refused.
	MaxConnections int
	// MaxHeldMessage is the size in bytes of the largest message that is held to be understood.
	MaxHeldMessage int64
	// StartupTimeout bounds the time from accept to the end of authentication.
	StartupTimeout time.Duration
	// ShutdownGrace is how long running statements may take after SIGTERM.
	ShutdownGrace time.Duration

	// LogLevel is debug, info, warn or error; LogFormat text or json.
	LogLevel, LogFormat string
	// LogSessions has the end of each session logged, LogSlow the statements that take longer, 0 for none.
	LogSessions bool
	LogSlow     time.Duration

	// Tracing is about spans, Audit about the audit log.
	Tracing Tracing
	Audit   Audit

	// Policy has passed Compile. DefaultTTL, MaxResult, Consistency and Rules are settings;
	// Epoch is the caller's.
	Policy *cachepolicy.Policy

	// The rules and declarations as the file has them, to tell whether a reload changes any.
	rulesText, functionsText, triggersText string

	// Where what was given stands: lines of the file by path, and the flags and variables that win over it.
	lines   map[string]int
	sources map[string]string
}

// Place says where something was given: the file with the line of the path, or of the nearest thing around it that the file has; the
// flag or variable that wins over the file, without a line; "" and 0 for what nobody gave.
func (c *Config) Place(path string) (source string, line int) {
	if source, ok := c.sources[path]; ok {
		return source, 0
	}
	if line := nearestLine(c.lines, path); line > 0 {
		return c.File, line
	}
	return "", 0
}

// Defaults returns the configuration of a process that was told nothing. Its Policy is not
// compiled yet.
func Defaults() *Config {
	policy := cachepolicy.Default()
	return &Config{
		Listen:          []string{"127.0.0.1:6432"},
		Admin:           "127.0.0.1:9632",
		ConsoleDatabase: "pgrecall",
		L2Tenant:        "none",
		L2Lease:         time.Second,
		Cache:           "on",
		L1Size:          256 << 20,
		StatementCache:  64 << 20,
		FlightWait:      2 * time.Second,
		EarlyRefresh:    1,
		Replication:     "auto",
		CatalogInterval: 30 * time.Second,
		Series:          100,
		Warm:            Warm{HotKeys: 1000, Concurrency: 2},
		MaxConnections:  1000,
		MaxHeldMessage:  1 << 20,
		StartupTimeout:  60 * time.Second,
		ShutdownGrace:   30 * time.Second,
		LogLevel:        "info",
		LogFormat:       "text",
		LogSessions:     true,
		Tracing:         Tracing{Sample: 0.01},
		Audit:           Audit{What: "hits"},
		Policy:          &policy,
	}
}

// Changed compares two configurations of one process. It returns the paths of the settings that
// differ, those that a reload can apply apart from those that need a restart.
func Changed(old, new *Config) (applied, restart []string) {
	for _, s := range settings() {
		if slices.Equal(s.get(old), s.get(new)) {
			continue
		}
		if s.reload {
			applied = append(applied, s.path)
		} else {
			restart = append(restart, s.path)
		}
	}
	if old.rulesText != new.rulesText {
		applied = append(applied, "rules")
	}
	if old.functionsText != new.functionsText {
		applied = append(applied, "functions")
	}
	if old.triggersText != new.triggersText {
		applied = append(applied, "triggers")
	}
	return applied, restart
}
