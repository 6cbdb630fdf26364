package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/pgrecall/pgrecall/admin"
)

// line makes a text printable, on one line: control characters, line ends and what turns the direction of writing become U+FFFD.
func line(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// printable returns a copy in which names and texts of the database are lines.
func printable(in Input) Input {
	lines := func(list []string) []string {
		out := make([]string, len(list))
		for i, s := range list {
			out[i] = line(s)
		}
		return out
	}
	statements := make([]admin.Statement, len(in.Traffic.Statements))
	for i, s := range in.Traffic.Statements {
		s.Fingerprint, s.Database, s.Query, s.Tables, s.Rule = line(s.Fingerprint), line(s.Database), line(s.Query), lines(s.Tables), line(s.Rule)
		statements[i] = s
	}
	tables := make([]admin.Table, len(in.Traffic.Tables))
	for i, t := range in.Traffic.Tables {
		t.Database, t.Name = line(t.Database), line(t.Name)
		tables[i] = t
	}
	not := make([]admin.Uncached, len(in.Uncached))
	for i, u := range in.Uncached {
		u.Fingerprint, u.Database, u.Query, u.Reason = line(u.Fingerprint), line(u.Database), line(u.Query), line(u.Reason)
		u.Detail, u.Meaning, u.Change = line(u.Detail), line(u.Meaning), line(u.Change)
		not[i] = u
	}
	doubts := make([]admin.Doubt, len(in.Status.Doubts))
	for i, d := range in.Status.Doubts {
		d.Fingerprint, d.Tables = line(d.Fingerprint), line(d.Tables)
		doubts[i] = d
	}
	in.Traffic.Statements, in.Traffic.Tables, in.Uncached, in.Status.Doubts = statements, tables, not, doubts
	in.Status.Version, in.Status.Upstream, in.Status.Cache = line(in.Status.Version), line(in.Status.Upstream), line(in.Status.Cache)
	return in
}

// count writes a number with commas.
func count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// seconds writes a time in the unit that suits it, with three digits.
func seconds(s float64) string {
	for _, u := range []struct {
		from, unit float64
		name       string
	}{{2 * 86400, 86400, "days"}, {2 * 3600, 3600, "h"}, {120, 60, "min"}, {1, 1, "s"}, {1e-3, 1e-3, "ms"}} {
		if math.Abs(s) >= u.from {
			return digits3(s/u.unit) + " " + u.name
		}
	}
	if s == 0 {
		return "0 s"
	}
	return digits3(s/1e-6) + " µs"
}

func digits3(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return count(int64(math.Round(v)))
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// percent writes a share of 0 to 1.
func percent(share float64) string {
	switch p := 100 * share; {
	case share > 1:
		return "never"
	case share == 1 || share == 0:
		return strconv.FormatFloat(p, 'f', 0, 64) + "%"
	case p > 0 && p < 0.05:
		return "<0.1%"
	case p >= 99.95:
		return "99.9%" // not all of them
	default:
		return strconv.FormatFloat(p, 'f', 1, 64) + "%"
	}
}

// size writes a number of bytes.
func size(n int64) string {
	for _, u := range []struct {
		unit int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.unit {
			return digits3(float64(n)/float64(u.unit)) + " " + u.name
		}
	}
	return count(n) + " bytes"
}

// plural writes a number and what it is of.
func plural(n int64, of string) string {
	if n == 1 {
		return "1 " + of
	}
	if stem, ok := strings.CutSuffix(of, "y"); ok {
		return count(n) + " " + stem + "ies"
	}
	if strings.HasSuffix(of, "s") {
		return count(n) + " " + of + "es"
	}
	return count(n) + " " + of + "s"
}

// short cuts a text to so many characters.
func short(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most-1]) + "…"
}

// duration writes a time as the configuration does.
func duration(d time.Duration) string {
	switch {
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d > time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}
