package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrecall/pgrecall/cache/memcached"
	"github.com/pgrecall/pgrecall/cache/redis"
)

// units of byte sizes. kB and its like are binary, as in PostgreSQL's configuration
// (manual, 20.1.1), so that 512kB means the same in both files.
func unit(name string) (int64, bool) {
	switch name {
	case "", "B":
		return 1, true
	case "kB", "KB", "KiB":
		return 1 << 10, true
	case "MB", "MiB":
		return 1 << 20, true
	case "GB", "GiB":
		return 1 << 30, true
	case "TB", "TiB":
		return 1 << 40, true
	}
	return 0, false
}

// ParseBytes reads a size such as "256MiB", "512kB" or "1000" in bytes.
func ParseBytes(s string) (int64, error) {
	digits := strings.TrimRight(s, "BkKMGTi ")
	factor, ok := unit(strings.TrimSpace(s[len(digits):]))
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || n < 0 || digits[0] == '+' {
		if errors.Is(err, strconv.ErrRange) {
			return 0, fmt.Errorf("%q is too large", s)
		}
		return 0, fmt.Errorf("%q is not a size in bytes, such as 256MiB, 512kB or 1000", s)
	}
	if n > math.MaxInt64/factor {
		return 0, fmt.Errorf("%q is too large", s)
	}
	return n * factor, nil
}

// FormatBytes writes a size in the largest unit that divides it.
func FormatBytes(n int64) string {
	for _, name := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if factor, _ := unit(name); n != 0 && n%factor == 0 {
			return strconv.FormatInt(n/factor, 10) + name
		}
	}
	return strconv.FormatInt(n, 10)
}

// ParseDuration reads a duration such as "60s", "1m30s" or "250ms". Negative ones are errors.
func ParseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		if _, number := strconv.ParseFloat(s, 64); number == nil {
			return 0, fmt.Errorf("%q has no unit: write %ss, or ms, m, h", s, s)
		}
		return 0, fmt.Errorf("%q is not a duration, such as 60s, 1m30s or 250ms", s)
	}
	if d < 0 {
		return 0, fmt.Errorf("%q is negative", s)
	}
	return d, nil
}

// FormatDuration writes a duration without the zero parts that Duration.String has: 60s, 5m, 1h.
func FormatDuration(d time.Duration) string {
	switch {
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d > time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d >= time.Second && d%time.Second == 0:
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return d.String()
}

// ParseShare reads a share such as "0.1%", "0.001" or "off", from 0 to 1. Numbers without a percent sign are fractions; from 1 on
// they could be meant as percents as well and are errors.
func ParseShare(s string) (float64, error) {
	if s == "off" {
		return 0, nil
	}
	digits, percent := strings.CutSuffix(s, "%")
	digits = strings.TrimRight(digits, " ")
	n, err := strconv.ParseFloat(digits, 64)
	switch {
	case err != nil || strings.Trim(digits, "0123456789.") != "":
		return 0, fmt.Errorf("%q is not a share, such as 0.1%%, 0.001 or off", s)
	case percent && n > 100:
		return 0, fmt.Errorf("%q is too large: at most 100%%", s)
	case percent:
		return n / 100, nil
	case n >= 1:
		return 0, fmt.Errorf("%q has no percent sign: write %s%%, or 100%% for all", s, digits)
	}
	return n, nil
}

// FormatShare writes a share in percent, none as 0.
func FormatShare(share float64) string {
	if share == 0 {
		return "0"
	}
	return strconv.FormatFloat(math.Round(share*1e12)/1e10, 'f', -1, 64) + "%"
}

// parseFactor reads a number from 0 to high, off being 0.
func parseFactor(s string, high float64) (float64, error) {
	if s == "off" {
		return 0, nil
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || strings.Trim(s, "0123456789.") != "" || n > high {
		return 0, fmt.Errorf("%q is not a number from 0 to %g, or off", s, high)
	}
	return n, nil
}

func oneOf(s string, words ...string) error {
	if slices.Contains(words, s) {
		return nil
	}
	return fmt.Errorf("%q is not one of %s", s, strings.Join(words, ", "))
}

// checkAddress accepts host:port, and unix:/dir where unix is true.
func checkAddress(s string, unix bool) error {
	if dir, ok := strings.CutPrefix(s, "unix:"); ok && unix {
		if !filepath.IsAbs(dir) {
			return fmt.Errorf("%q: the directory of a Unix socket must be absolute, such as unix:/var/run/pgrecall", s)
		}
		return nil
	}
	_, port, err := net.SplitHostPort(s)
	if err != nil || strings.HasPrefix(s, "unix:") {
		want := "host:port"
		if unix {
			want += " or unix:/dir"
		}
		return fmt.Errorf("%q is not an address: want %s", s, want)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("%q: %q is not a port from 0 to 65535", s, port)
	}
	return nil
}

// checkDSN reports what is wrong with a DSN without repeating it: where it does not parse, nobody
// can say for sure what in it is the password.
func checkDSN(s string) error {
	_, err := pgconn.ParseConfig(s)
	if err == nil {
		return nil
	}
	what := err.Error()
	if i := strings.LastIndex(what, "`: "); i >= 0 {
		what = what[i+len("`: "):] // "cannot parse `...`: cause"
	}
	var quoted *url.Error
	if errors.As(err, &quoted) {
		what = "not a URL" // its cause quotes parts of the text
	}
	return fmt.Errorf("not a DSN: %s", what)
}

// customSetting matches the names of settings that clients may make up (PostgreSQL's manual, section 20.16).
var customSetting = regexp.MustCompile(`^[a-z_][a-z0-9_$]*(\.[a-z_][a-z0-9_$]*)+$`)

func checkTenant(s string) error {
	name, ok := strings.CutPrefix(s, "setting:")
	switch {
	case s == "none" || s == "user":
		return nil
	case !ok:
		return fmt.Errorf("%q is not one of none, user, setting:NAME", s)
	case !customSetting.MatchString(strings.ToLower(name)):
		return fmt.Errorf("%q is not the name of a custom setting, such as app.tenant", name)
	case strings.HasPrefix(strings.ToLower(name), "pgrecall."):
		return fmt.Errorf("%q is a setting of pgrecall's own", name)
	}
	return nil
}

// checkRedis finds what package redis would refuse: unknown parameters, Sentinels without a master, certificates that can't be read.
func checkRedis(s string) error {
	if s == "" {
		return nil
	}
	options, err := redis.ParseURL(s)
	if err == nil {
		_, err = options.Universal()
	}
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "redis: "))
	}
	return nil
}

// checkMemcached finds what package memcached would refuse.
func checkMemcached(s string) error {
	if s == "" {
		return nil
	}
	if _, err := memcached.ParseURL(s); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "memcached: "))
	}
	return nil
}
