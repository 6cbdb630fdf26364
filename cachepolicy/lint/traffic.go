package lint

import (
	"fmt"
	"time"

	"github.com/pgrecall/pgrecall/cachepolicy"
)

// fewWrites is the number of rows below which nothing is said of a table's writes.
const fewWrites = 1000

// traffic finds tables that are written more than read. The server counts rows that are written and scans, for whatever statement: a bulk
// load counts each row, and an UPDATE that finds its row by an index is a scan. So it is a hint.
func (l *linter) traffic() {
	sums := make(map[uint32]Count)
	for _, r := range l.all {
		count, ok := l.Server.Counts[r.OID]
		if !ok {
			continue
		}
		root := l.root(r) // of a partitioned table the partitions are counted
		sum := sums[root.OID]
		sum.Scans += count.Scans
		sum.Written += count.Written
		sums[root.OID] = sum
	}
	since := "since the database was made"
	if !l.Server.Since.IsZero() {
		since = "since " + l.Server.Since.UTC().Format(time.RFC3339)
	}
	for _, r := range l.all {
		c, ok := sums[r.OID]
		if !ok || c.Written < fewWrites || c.Written <= c.Scans {
			continue
		}
		d := l.decide(r, l.Policy)
		if d.Verdict != cachepolicy.Cache || d.Consistency == cachepolicy.TTL {
			continue
		}
		l.add(Finding{Path: l.placeOf(&d), Object: nameOf(r), Level: LevelWarning, Code: CodeWritten,
			What: fmt.Sprintf("%s is written more than read: %d rows written, %d scans %s (pg_stat_user_tables; loads in bulk count each row)",
				nameOf(r), c.Written, c.Scans, since),
			Change: "a rule with cache: never, or consistency: ttl if answers may be as old as the TTL"})
	}
}
