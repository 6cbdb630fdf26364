package report

import (
	"cmp"
	"slices"

	"github.com/pgrecall/pgrecall/admin"
)

// Verdict is what is said of caching a shape of statements, or those of a table.
type Verdict string

// Verdicts.
const (
	Pays        Verdict = "pays"
	Loses       Verdict = "loses"        // misses cost more than hits save
	Few         Verdict = "too few"      // misses to say it
	Differs     Verdict = "differed"     // the cache would have been wrong, or was
	NotCached   Verdict = "not cached"   // for the reasons that are told
	OnlyWritten Verdict = "only written" // of tables
)

// Statement is a shape of statements that read.
type Statement struct {
	Fingerprint string   `json:"fingerprint"`
	Database    string   `json:"database"`
	Query       string   `json:"query"` // "" where there is no text without constants
	Tables      []string `json:"tables"`
	Rule        string   `json:"rule"` // that decided, "" for the defaults
	RowSecurity bool     `json:"row_security"`
	Figures
	Verdict Verdict `json:"verdict"`
	Why     string  `json:"why,omitempty"` // not cached
	Worth
}

// Worth says what a statement takes, and from which hit rate on caching it pays. Times are in seconds.
type Worth struct {
	Judged       bool    `json:"judged"`        // enough was measured; else only Origin is known, if that
	Origin       float64 `json:"origin"`        // at PostgreSQL
	Hit          float64 `json:"hit"`           // from the cache
	MissOverhead float64 `json:"miss_overhead"` // beside Origin
	LookupRate   float64 `json:"lookup_rate"`   // of hits among what was looked up, 0 to 1
	BreakEven    float64 `json:"break_even"`    // above 1: never
	Net          float64 `json:"net"`           // what all hits saved less what all misses cost
}

// statements returns the shapes that read.
func statements(in *Input) []Statement {
	why := map[[2]string]string{}
	for i := range in.Uncached {
		u := &in.Uncached[i]
		if k := [2]string{u.Fingerprint, u.Database}; why[k] == "" { // the costliest reason comes first
			why[k] = u.Reason
		}
	}
	list := []Statement{}
	for i := range in.Traffic.Statements {
		raw := &in.Traffic.Statements[i]
		f := figures(&raw.Counts)
		if f.Reads == 0 {
			continue
		}
		s := Statement{
			Fingerprint: raw.Fingerprint, Database: raw.Database, Query: raw.Query, Tables: raw.Tables, Rule: raw.Rule, RowSecurity: raw.RowSecurity,
			Figures: f, Worth: worth(&f, raw.Worth),
		}
		s.Verdict = verdict(&f, raw.Worth)
		if s.Verdict == NotCached {
			s.Why = why[[2]string{s.Fingerprint, s.Database}]
		}
		if slices.ContainsFunc(in.Status.Doubts, func(d admin.Doubt) bool { return d.Fingerprint == s.Fingerprint }) {
			s.Verdict = Differs
		}
		list = append(list, s)
	}
	slices.SortStableFunc(list, func(a, b Statement) int {
		return cmp.Or(cmp.Compare(b.SecondsSaved, a.SecondsSaved), cmp.Compare(b.DatabaseSeconds, a.DatabaseSeconds), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return list
}

// worth adds up what was measured.
func worth(f *Figures, w *admin.Worth) Worth {
	if w == nil {
		return Worth{Origin: f.SecondsSaved / float64(max(f.Hits, 1))}
	}
	return Worth{
		Judged: true, Origin: w.Origin, Hit: w.Hit, MissOverhead: max(w.Miss-w.Origin, 0), LookupRate: w.HitRate, BreakEven: w.BreakEven,
		Net: f.SecondsSaved - float64(f.Hits)*w.Hit - f.OverheadSeconds,
	}
}

func verdict(f *Figures, w *admin.Worth) Verdict {
	switch {
	case f.Differed > 0:
		return Differs
	case f.Hits+f.Misses+f.Inconclusive == 0:
		return NotCached
	case w == nil && f.Hits > 0 && f.Hits >= f.Misses: // nothing that was measured speaks against it
		return Pays
	case w == nil:
		return Few
	case w.Pays:
		return Pays
	}
	return Loses
}
