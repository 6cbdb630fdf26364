package lint

import (
	"fmt"
	"strings"
	"time"

	"github.com/pgrecall/pgrecall/cachepolicy"
)

// How long a TTL may be before it is doubted. Only writes through pgrecall invalidate: others show when the TTL is over, and
// that is what strict and session do not promise to anybody who writes past it.
const (
	longStrict = time.Hour
	longTTL    = 24 * time.Hour
)

// ages judges how old answers may get.
func (l *linter) ages() {
	l.age("cache.default_ttl", l.Policy.DefaultTTL, l.Policy.Consistency)
	for i := range l.Policy.Rules {
		r := &l.Policy.Rules[i]
		if r.Cache == cachepolicy.CacheNever || !l.here(r) {
			continue
		}
		ttl, consistency := l.promised(r)
		switch {
		case r.TTL > 0:
			l.age(rulePath(i, ".ttl"), ttl, consistency)
		case consistency != l.Policy.Consistency:
			l.age(rulePath(i, ".consistency"), ttl, consistency)
		}
		if consistency == cachepolicy.TTL && r.StaleWhileRevalidate > ttl {
			l.add(Finding{Path: rulePath(i, ".stale_while_revalidate"), Level: LevelWarning, Code: CodeStale,
				What: fmt.Sprintf("with consistency: ttl nothing but the TTL bounds how old an answer is, and this makes the %s of it %s: writes do not end it",
					short(ttl), short(ttl+r.StaleWhileRevalidate)),
				Change: "make it at most the TTL, or the TTL what is meant"})
		}
	}
}

// promised is what holds for a rule.
func (l *linter) promised(r *cachepolicy.Rule) (time.Duration, cachepolicy.Consistency) {
	ttl, consistency := l.Policy.DefaultTTL, l.Policy.Consistency
	if r.TTL > 0 {
		ttl = r.TTL
	}
	if r.Consistency != nil {
		consistency = *r.Consistency
	}
	return ttl, consistency
}

func (l *linter) age(path string, ttl time.Duration, consistency cachepolicy.Consistency) {
	switch {
	case consistency != cachepolicy.TTL && ttl > longStrict:
		l.add(Finding{Path: path, Level: LevelWarning, Code: CodeLongTTL,
			What: fmt.Sprintf("consistency: %s holds for writes through pgrecall alone; what is written past it (psql at the server, a migration, a job) shows after %s",
				consistency, short(ttl)),
			Change: fmt.Sprintf("at most %s, or consistency: ttl to say that answers may be that old", short(longStrict))})
	case ttl > longTTL:
		l.add(Finding{Path: path, Level: LevelWarning, Code: CodeLongTTL,
			What: "answers may be " + short(ttl) + " old, whatever is written", Change: "at most " + short(longTTL) + " makes sense"})
	}
}

// short writes a duration without zero parts: 1h, 90m.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
