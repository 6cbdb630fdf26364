package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgrecall/pgrecall/cachepolicy"
)

// setting is one thing that a flag, a variable and a place in the file can say.
type setting struct {
	flag  string // without dashes; PGRECALL_<FLAG> is the variable
	path  string // in the file, parts separated by dots
	value string // what --help shows for the value, "" for none
	usage string
	list  bool // takes several values: repeated flags, a list in the file, commas elsewhere
	// secret values are never shown, not even as somebody's wrong input.
	secret bool
	// reload is true where SIGHUP can apply a new value.
	reload bool
	get    func(*Config) []string
	set    func(*Config, []string) error
}

// variable is the name of the setting's environment variable.
func (s *setting) variable() string {
	return "PGRECALL_" + strings.ToUpper(strings.ReplaceAll(s.flag, "-", "_"))
}

// settings returns the table, in the order of --help.
func settings() []setting {
	return slices.Concat(generalSettings(), consoleSettings(), warmSettings(), observeSettings(), processSettings())
}

func generalSettings() []setting {
	return []setting{
		{flag: "upstream", path: "upstream", value: "DSN", secret: true,
			usage: "the PostgreSQL behind pgrecall; its user and password are pgrecall's own account (default: DATABASE_URL)",
			get:   func(c *Config) []string { return []string{c.Upstream} },
			set: func(c *Config, v []string) error {
				c.Upstream = v[0]
				return checkDSN(v[0])
			}},
		{flag: "listen", path: "listen", value: "ADDR", list: true,
			usage: "address for clients, host:port or unix:/dir; may be given several times",
			get:   func(c *Config) []string { return c.Listen },
			set:   setListen},
		text("tls-cert", "tls.cert", "FILE", "PEM file with the certificate for clients' connections", nil,
			func(c *Config) *string { return &c.TLSCert }),
		text("tls-key", "tls.key", "FILE", "PEM file with the certificate's key", nil,
			func(c *Config) *string { return &c.TLSKey }),
		text("admin", "admin.listen", "ADDR", `address of metrics, health and status page; "" for none`,
			func(s string) error {
				if s == "" {
					return nil
				}
				return checkAddress(s, false)
			},
			func(c *Config) *string { return &c.Admin }),
		{flag: "admin-hosts", path: "admin.hosts", value: "NAME", list: true,
			usage: "further names that browsers and scrapers may call the admin server by; may be given several times",
			get:   func(c *Config) []string { return c.AdminHosts },
			set: func(c *Config, v []string) error {
				for _, host := range v {
					if host == "" || strings.ContainsAny(host, ":/ *") {
						return fmt.Errorf("%q is not a host name", host)
					}
				}
				c.AdminHosts = v
				return nil
			}},
		count("metrics-series", "admin.metrics_series", "tables, and as many shapes of statements, with time series of their own in the metrics; the others are counted together", 0, 10_000,
			func(c *Config) *int { return &c.Series }),
		secret(text("admin-token", "admin.token", "TOKEN", "what POST requests, and GET /api/hot, must show as a bearer token", checkToken,
			func(c *Config) *string { return &c.AdminToken })),

		word("cache", "cache.mode", "on, off, or shadow: reads go upstream and are compared",
			[]string{"on", "off", "shadow"}, func(c *Config) *string { return &c.Cache }),
		{flag: "verify", path: "cache.verify", value: "SHARE", reload: true,
			usage: "share of answers from the cache that are checked against the upstream in the background, such as 0.1%; 0 or off for none",
			get:   func(c *Config) []string { return []string{FormatShare(c.Verify)} },
			set: func(c *Config, v []string) (err error) {
				c.Verify, err = ParseShare(v[0])
				return err
			}},
		secret(text("redis", "cache.redis", "URL", "turns L2 on: redis:// or rediss://, several separated by commas", checkRedis,
			func(c *Config) *string { return &c.Redis })),
		text("memcached", "cache.memcached", "URL", "keeps the results of L2 in memcached: memcached://, several separated by commas; pgrecalls that share them need --redis, too", checkMemcached,
			func(c *Config) *string { return &c.Memcached }),
		text("l2-key-file", "cache.l2.key_file", "FILE", "keys that encrypt what is kept in L2, as id:base64 lines: the first seals, all open", nil,
			func(c *Config) *string { return &c.L2KeyFile }),
		text("l2-namespace", "cache.l2.namespace", "NAME", "first part of the names in Redis, where several installations share one", nil,
			func(c *Config) *string { return &c.L2Namespace }),
		text("l2-tenant", "cache.l2.tenant", "none|user|setting:NAME", "whose results can be flushed alone: each role's, or those of each value of a custom setting, as setting:app.tenant", checkTenant,
			func(c *Config) *string { return &c.L2Tenant }),
		duration("l2-lease", "cache.l2.lease", "how long the others wait for a pgrecall that fell silent; the same for all", 100*time.Millisecond, time.Minute,
			func(c *Config) *time.Duration { return &c.L2Lease }),
		size("l1-size", "cache.l1_size", "memory for cached results", 1<<20, 1<<50,
			func(c *Config) *int64 { return &c.L1Size }),
		size("statement-cache", "cache.statement_cache", "memory for analysed statements", 64<<10, 1<<40,
			func(c *Config) *int64 { return &c.StatementCache }),
		duration("flight-wait", "cache.flight_wait", "how long a miss waits for another one with the same key, here or in another pgrecall", 0, time.Minute,
			func(c *Config) *time.Duration { return &c.FlightWait }),
		{flag: "early-refresh", path: "cache.early_refresh", value: "N", reload: true,
			usage: "how early hot results are asked for anew before their TTL is over, 1 being best for most, up to 100; 0 or off for never",
			get:   func(c *Config) []string { return []string{strconv.FormatFloat(c.EarlyRefresh, 'f', -1, 64)} },
			set: func(c *Config, v []string) (err error) {
				c.EarlyRefresh, err = parseFactor(v[0], 100)
				return err
			}},
		yes("auto", "cache.auto", "true: shapes of statements whose caching costs more than it saves are not cached for a while",
			func(c *Config) *bool { return &c.Auto }),
		reloadable(duration("default-ttl", "cache.default_ttl", "how long results without a rule of their own are kept", time.Millisecond, 0,
			func(c *Config) *time.Duration { return &c.Policy.DefaultTTL })),
		{flag: "max-result", path: "cache.max_result", value: "BYTES", reload: true,
			usage: "larger results are not cached",
			get:   func(c *Config) []string { return []string{FormatBytes(int64(c.Policy.MaxResult))} },
			set: func(c *Config, v []string) error {
				n, err := boundedBytes(v[0], 1, 1<<30)
				if err == nil {
					c.Policy.MaxResult = cachepolicy.Bytes(n)
				}
				return err
			}},
		{flag: "consistency", path: "cache.consistency", value: "strict|session|ttl", reload: true,
			usage: "how fresh answers without a rule of their own are",
			get:   func(c *Config) []string { return []string{ConsistencyWord(c.Policy.Consistency)} },
			set: func(c *Config, v []string) (err error) {
				c.Policy.Consistency, err = parseConsistency(v[0])
				return err
			}},

		word("replication", "replication.mode", "logical replication for writes that bypass pgrecall",
			[]string{"auto", "on", "off"}, func(c *Config) *string { return &c.Replication }),
		duration("catalog-interval", "catalog.interval", "time between two looks at the upstream's catalog", 100*time.Millisecond, 24*time.Hour,
			func(c *Config) *time.Duration { return &c.CatalogInterval }),
		duration("catalog-wait", "catalog.wait", "how long a statement waits for the catalog after definitions changed; 0: it is forwarded and not cached", 0, time.Minute,
			func(c *Config) *time.Duration { return &c.CatalogWait }),
	}
}

// processSettings are limits and the log.
func processSettings() []setting {
	return []setting{
		count("max-connections", "limits.max_connections", "client connections above which new ones are refused", 1, 1<<18,
			func(c *Config) *int { return &c.MaxConnections }),
		size("max-held-message", "limits.max_held_message", "largest message that is held to be understood; larger ones are forwarded and never cached",
			8<<10, 1<<30, func(c *Config) *int64 { return &c.MaxHeldMessage }),
		duration("startup-timeout", "limits.startup_timeout", "bound on TLS and authentication of a client", time.Second, time.Hour,
			func(c *Config) *time.Duration { return &c.StartupTimeout }),
		duration("shutdown-grace", "limits.shutdown_grace", "how long running statements may take after SIGTERM", 0, 24*time.Hour,
			func(c *Config) *time.Duration { return &c.ShutdownGrace }),

		reloadable(word("log-level", "log.level", "least severe messages to log",
			[]string{"debug", "info", "warn", "error"}, func(c *Config) *string { return &c.LogLevel })),
		word("log-format", "log.format", "how log lines look",
			[]string{"text", "json"}, func(c *Config) *string { return &c.LogFormat }),
		yes("log-sessions", "log.sessions", "true: a line at the end of each session, with what became of its statements",
			func(c *Config) *bool { return &c.LogSessions }),
		reloadable(duration("log-slow", "log.slow_statement", "statements that take longer are logged, without constants and parameters; 0: none", 0, 0,
			func(c *Config) *time.Duration { return &c.LogSlow })),
	}
}

func reloadable(s setting) setting { s.reload = true; return s }

func secret(s setting) setting { s.secret = true; return s }

func setListen(c *Config, v []string) error {
	c.Listen = v
	if len(v) == 0 {
		return errors.New("no address given")
	}
	seen := make(map[string]bool, len(v))
	for _, addr := range v {
		if err := checkAddress(addr, true); err != nil {
			return err
		}
		// Port 0 is a different one each time.
		if seen[addr] && !strings.HasSuffix(addr, ":0") {
			return fmt.Errorf("%q is given twice", addr)
		}
		seen[addr] = true
	}
	return nil
}

// checkToken refuses what can't stand in an Authorization header.
func checkToken(s string) error {
	for _, r := range s {
		if r <= ' ' || r > '~' {
			return errors.New("a token is made of printable ASCII without spaces")
		}
	}
	return nil
}

func text(flag, path, value, usage string, check func(string) error, field func(*Config) *string) setting {
	return setting{flag: flag, path: path, value: value, usage: usage,
		get: func(c *Config) []string { return []string{*field(c)} },
		set: func(c *Config, v []string) error {
			*field(c) = v[0]
			if check == nil {
				return nil
			}
			return check(v[0])
		}}
}

func word(flag, path, usage string, words []string, field func(*Config) *string) setting {
	return text(flag, path, strings.Join(words, "|"), usage,
		func(s string) error { return oneOf(s, words...) }, field)
}

// size is a setting in bytes between low and high.
func size(flag, path, usage string, low, high int64, field func(*Config) *int64) setting {
	return setting{flag: flag, path: path, value: "BYTES", usage: usage,
		get: func(c *Config) []string { return []string{FormatBytes(*field(c))} },
		set: func(c *Config, v []string) error {
			n, err := boundedBytes(v[0], low, high)
			if err == nil {
				*field(c) = n
			}
			return err
		}}
}

// count is a number between low and high.
func count(flag, path, usage string, low, high int, field func(*Config) *int) setting {
	return setting{flag: flag, path: path, value: "N", usage: usage,
		get: func(c *Config) []string { return []string{strconv.Itoa(*field(c))} },
		set: func(c *Config, v []string) error {
			n, err := strconv.Atoi(v[0])
			if err != nil || n < low || n > high {
				return fmt.Errorf("%q is not a number from %d to %d", v[0], low, high)
			}
			*field(c) = n
			return nil
		}}
}

func boundedBytes(s string, low, high int64) (int64, error) {
	n, err := ParseBytes(s)
	switch {
	case err != nil:
		return 0, err
	case n < low:
		return 0, fmt.Errorf("%q is too small: at least %s", s, FormatBytes(low))
	case n > high:
		return 0, fmt.Errorf("%q is too large: at most %s", s, FormatBytes(high))
	}
	return n, nil
}

// duration is a setting between low and high; high 0 is no bound.
func duration(flag, path, usage string, low, high time.Duration, field func(*Config) *time.Duration) setting {
	return setting{flag: flag, path: path, value: "DUR", usage: usage,
		get: func(c *Config) []string { return []string{FormatDuration(*field(c))} },
		set: func(c *Config, v []string) error {
			d, err := ParseDuration(v[0])
			switch {
			case err != nil:
				return err
			case d < low:
				return fmt.Errorf("%q is too short: at least %s", v[0], FormatDuration(low))
			case high > 0 && d > high:
				return fmt.Errorf("%q is too long: at most %s", v[0], FormatDuration(high))
			}
			*field(c) = d
			return nil
		}}
}

// yes is a setting that is true or false, and may be changed by a reload.
func yes(flag, path, usage string, field func(*Config) *bool) setting {
	return setting{flag: flag, path: path, value: "BOOL", usage: usage, reload: true,
		get: func(c *Config) []string { return []string{strconv.FormatBool(*field(c))} },
		set: func(c *Config, v []string) error {
			if err := oneOf(v[0], "true", "false"); err != nil {
				return err
			}
			*field(c) = v[0] == "true"
			return nil
		}}
}
