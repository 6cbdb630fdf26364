package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/pgrecall/pgrecall/admin"
)

// Input is what a report is made from: the answers of /api/status and /api/traffic.
type Input struct {
	Status   admin.Status
	Uncached []admin.Uncached
	Traffic  admin.Traffic
}

// Report is what is told. All names and texts are printable and on one line. Times are in seconds.
type Report struct {
	Version  string    `json:"version"` // of pgrecall
	Upstream string    `json:"upstream"`
	Cache    string    `json:"cache"` // on, off, shadow: with shadow nothing was saved, all is what would have been
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Seconds  float64   `json:"seconds"` // between them

	Summary    Summary     `json:"summary"`
	Risks      []Risk      `json:"risks"`      // the worst first
	Tables     []Table     `json:"tables"`     // those first that save the most
	Statements []Statement `json:"statements"` // reads, those first that save the most
	Uncached   []Uncached  `json:"uncached"`   // the reasons that cost the most first
	Memory     Memory      `json:"memory"`
	Proposal   Proposal    `json:"proposal"`
}

// Figures are sums over statements. A hit is one that came from the cache, or in shadow mode would have.
type Figures struct {
	Reads   int64   `json:"reads"`
	Hits    int64   `json:"hits"`
	Misses  int64   `json:"misses"`
	Bypass  int64   `json:"bypasses"` // reads that are not cached
	Writes  int64   `json:"writes"`
	HitRate float64 `json:"hit_rate"` // of the reads, 0 to 1

	// SecondsSaved are those that PostgreSQL would have spent for hits (in shadow mode: spent); DatabaseSeconds those that it would have spent for
	// everything without a cache; OverheadSeconds what caching cost the misses.
	SecondsSaved    float64 `json:"seconds_saved"`
	DatabaseSeconds float64 `json:"database_seconds"`
	OverheadSeconds float64 `json:"overhead_seconds"`

	// Compared are the would-be hits that shadow mode could judge; Differed those of them that would have been wrong.
	Compared     int64 `json:"compared"`
	Differed     int64 `json:"differed"`
	Inconclusive int64 `json:"inconclusive"`
	// Results that were asked for anew: after a write or a flush, because they were too old and right, too old and wrong though nobody wrote.
	Invalidated      int64 `json:"invalidated"`
	RenewedUnchanged int64 `json:"renewed_unchanged"`
	RenewedChanged   int64 `json:"renewed_changed"`

	ResultBytes int64 `json:"result_bytes"` // of one result, on average
}

// Summary is over all statements.
type Summary struct {
	Figures
	SecondsSavedPerDay float64 `json:"seconds_saved_per_day"`
	SavedShare         float64 `json:"saved_share"` // of DatabaseSeconds, 0 to 1
}

// Make makes the report.
func Make(in Input) *Report {
	in = printable(in)
	r := &Report{
		Version: in.Status.Version, Upstream: in.Status.Upstream, Cache: in.Status.Cache, From: in.Status.Started, To: in.Status.Now,
		Seconds: in.Status.Now.Sub(in.Status.Started).Seconds(),
	}
	var all admin.Counts
	for i := range in.Traffic.Rules { // every statement has one rule, so that this counts each once
		add(&all, &in.Traffic.Rules[i].Counts)
	}
	r.Summary.Figures = figures(&all)
	if r.Seconds > 0 {
		r.Summary.SecondsSavedPerDay = r.Summary.SecondsSaved / r.Seconds * (24 * time.Hour).Seconds()
	}
	if r.Summary.DatabaseSeconds > 0 {
		r.Summary.SavedShare = r.Summary.SecondsSaved / r.Summary.DatabaseSeconds
	}
	r.Statements = statements(&in)
	r.Tables = tables(&in, r)
	r.Uncached = uncached(&in)
	r.Memory = memory(&in, r)
	r.Proposal = propose(&in, r)
	r.Memory.Proposed = r.Memory.proposed(r.Proposal.moreBytes)
	r.Risks = risks(&in, r)
	return r
}

// Shadow tells whether nothing was served from the cache.
func (r *Report) Shadow() bool { return r.Cache == "shadow" }

func figures(c *admin.Counts) Figures {
	f := Figures{
		Hits: c.Hits + c.SharedHits + c.WouldHits, Misses: c.Misses, Bypass: c.Bypasses - c.WouldHits - c.Differed - c.Inconclusive, Writes: c.Writes,
		Reads:        c.Hits + c.SharedHits + c.Misses + c.Bypasses,
		SecondsSaved: c.SecondsSaved + c.WouldSecondsSaved, DatabaseSeconds: c.SecondsSaved + c.Seconds, OverheadSeconds: c.OverheadSeconds,
		Compared: c.WouldHits + c.Differed, Differed: c.Differed, Inconclusive: c.Inconclusive,
		Invalidated: c.Invalidated, RenewedUnchanged: c.RenewedUnchanged, RenewedChanged: c.RenewedChanged,
		ResultBytes: c.FilledBytes / max(c.Kept, 1),
	}
	f.Bypass = max(f.Bypass, 0) // the counts were not read at one moment
	if f.Reads > 0 {
		f.HitRate = float64(f.Hits) / float64(f.Reads)
	}
	return f
}

// add adds the counts that figures looks at.
func add(to, c *admin.Counts) {
	for _, n := range [][2]*int64{
		{&to.Hits, &c.Hits}, {&to.SharedHits, &c.SharedHits}, {&to.Misses, &c.Misses}, {&to.Bypasses, &c.Bypasses}, {&to.Writes, &c.Writes},
		{&to.WouldHits, &c.WouldHits}, {&to.Differed, &c.Differed}, {&to.Inconclusive, &c.Inconclusive}, {&to.Invalidated, &c.Invalidated},
		{&to.RenewedUnchanged, &c.RenewedUnchanged}, {&to.RenewedChanged, &c.RenewedChanged}, {&to.Kept, &c.Kept}, {&to.FilledBytes, &c.FilledBytes},
	} {
		*n[0] += *n[1]
	}
	to.SecondsSaved += c.SecondsSaved
	to.WouldSecondsSaved += c.WouldSecondsSaved
	to.Seconds += c.Seconds
	to.OverheadSeconds += c.OverheadSeconds
}

// Uncached is one reason why reads are not cached.
type Uncached struct {
	Reason  string          `json:"reason"`
	Meaning string          `json:"meaning"`
	Change  string          `json:"change"` // what would get them cached
	Count   int64           `json:"count"`
	Seconds float64         `json:"seconds"`
	Shapes  []UncachedShape `json:"shapes"` // the costliest first
}

// UncachedShape is a shape of reads that are not cached for the reason.
type UncachedShape struct {
	Fingerprint string  `json:"fingerprint"`
	Database    string  `json:"database"`
	Query       string  `json:"query"`
	Detail      string  `json:"detail,omitempty"`
	Count       int64   `json:"count"`
	Seconds     float64 `json:"seconds"`
}

func uncached(in *Input) []Uncached {
	list := []Uncached{}
	for i := range in.Uncached {
		u := &in.Uncached[i]
		at := slices.IndexFunc(list, func(known Uncached) bool { return known.Reason == u.Reason })
		if at < 0 {
			at = len(list)
			list = append(list, Uncached{Reason: u.Reason, Meaning: u.Meaning, Change: u.Change})
		}
		of := &list[at]
		of.Count, of.Seconds = of.Count+u.Count, of.Seconds+u.Seconds
		of.Shapes = append(of.Shapes, UncachedShape{u.Fingerprint, u.Database, u.Query, u.Detail, u.Count, u.Seconds})
	}
	for i := range list {
		slices.SortStableFunc(list[i].Shapes, func(a, b UncachedShape) int { return cmp.Compare(b.Seconds, a.Seconds) })
	}
	slices.SortStableFunc(list, func(a, b Uncached) int { return cmp.Compare(b.Seconds, a.Seconds) })
	return list
}
