package config

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Warm is what pgrecall remembers for warming, and its own schedule.
type Warm struct {
	// HotKeys is how many queries are remembered, 0 for none.
	HotKeys int

	// File is a file of queries, "" for none. Top is how many of the costliest shapes of pg_stat_statements are asked for, 0 for none. From
	// is the URL of another pgrecall's admin server, whose hot keys are asked for, "" for none. A schedule has one of them, or Top and From.
	File, From string
	Top        int
	// Target is the DSN of the role that is warmed for, "" for Upstream's account. A secret.
	Target string
	// At are the times of day, in the process's time zone, as ParseTimeOfDay reads them, and AtStart.
	At []string
	// Every is the pause between two runs, 0 for none.
	Every time.Duration
	// Concurrency is the number of queries at a time.
	Concurrency int
}

// AtStart among Warm.At is the start of the process.
const AtStart = "start"

// Bounds of warming: statements under way, queries that are remembered, shapes that are asked for.
const (
	MaxWarmConcurrency = 64
	MaxHotKeys         = 100_000
	maxWarmTop         = 10_000
)

// Scheduled tells whether pgrecall is to warm itself.
func (w *Warm) Scheduled() bool { return len(w.At) > 0 || w.Every > 0 }

// ParseTimeOfDay reads a time of day such as "06:30" as the time since midnight.
func ParseTimeOfDay(s string) (time.Duration, error) {
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return 0, fmt.Errorf("%q is not a time of day, such as 06:30", s)
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}

// warmSettings are those of the section warm.
func warmSettings() []setting {
	return []setting{
		count("hot-keys", "warm.hot_keys", "the most used queries that are remembered with their parameters, for warming; 0 for none", 0, MaxHotKeys,
			func(c *Config) *int { return &c.Warm.HotKeys }),
		text("warm-file", "warm.file", "FILE", "queries that pgrecall asks for itself, SQL or JSON as of pgrecall warm", nil,
			func(c *Config) *string { return &c.Warm.File }),
		count("warm-top", "warm.top", "pgrecall asks for so many of the costliest shapes of pg_stat_statements itself", 0, maxWarmTop,
			func(c *Config) *int { return &c.Warm.Top }),
		text("warm-from", "warm.from", "URL", "another pgrecall's admin address, whose hot keys this one asks for itself; the same admin token", checkURL,
			func(c *Config) *string { return &c.Warm.From }),
		secret(text("warm-target", "warm.target", "DSN", "the way through this pgrecall as the role that is warmed for (default: the account of upstream)", checkDSN,
			func(c *Config) *string { return &c.Warm.Target })),
		{flag: "warm-at", path: "warm.at", value: "start|HH:MM", list: true,
			usage: "when: at the start, and at times of day; may be given several times",
			get:   func(c *Config) []string { return c.Warm.At },
			set: func(c *Config, v []string) error {
				c.Warm.At = v
				for _, at := range v {
					if _, err := ParseTimeOfDay(at); err != nil && at != AtStart {
						return fmt.Errorf("%w, and not start", err)
					}
				}
				return nil
			}},
		{flag: "warm-every", path: "warm.every", value: "DUR", usage: "when: so long after the last time; 0 for never",
			get: func(c *Config) []string { return []string{FormatDuration(c.Warm.Every)} },
			set: func(c *Config, v []string) (err error) {
				c.Warm.Every, err = ParseDuration(v[0])
				if err == nil && c.Warm.Every > 0 && c.Warm.Every < time.Second {
					err = fmt.Errorf("%q is too short: at least 1s, or 0 for never", v[0])
				}
				return err
			}},
		count("warm-concurrency", "warm.concurrency", "queries that warming by schedule has under way at a time", 1, MaxWarmConcurrency,
			func(c *Config) *int { return &c.Warm.Concurrency }),
	}
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return nil
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "":
		return fmt.Errorf("%s is not the URL of an admin server, such as http://10.0.0.7:9632", strconv.Quote(s))
	case u.User != nil:
		return errors.New("no account goes with it, but admin.token")
	}
	return nil
}

// checkWarm looks at what single values of the section can't tell.
func (f *file) checkWarm() {
	w := &f.config.Warm
	when := "warm.at"
	if len(w.At) == 0 {
		when = "warm.every"
	}
	something := w.File != "" || w.Top > 0 || w.From != ""
	switch {
	case w.File != "" && w.Top > 0:
		f.failAt("warm.top", "goes not with warm.file")
	case w.File != "" && w.From != "":
		f.failAt("warm.from", "goes not with warm.file")
	case w.Scheduled() && !something:
		f.failAt(when, "nothing to ask for: one of warm.file, warm.top, warm.from is needed")
	case w.Scheduled() && f.config.Cache == "off":
		f.failAt(when, "there is no cache to warm: cache.mode is off")
	case w.Top > 0 && w.HotKeys == 0 && w.From == "":
		f.failAt("warm.top", "has no parameters without warm.hot_keys or warm.from")
	case something && !w.Scheduled():
		path := "warm.file"
		if w.Top > 0 {
			path = "warm.top"
		} else if w.From != "" {
			path = "warm.from"
		}
		f.failAt(path, "never happens without warm.at or warm.every")
	}
}
