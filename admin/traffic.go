package admin

import (
	"net/http"
	"time"
)

// Counts are sums over statements since the start. Times are in seconds.
type Counts struct {
	Hits       int64 `json:"hits"`        // from memory
	SharedHits int64 `json:"shared_hits"` // from L2
	Misses     int64 `json:"misses"`
	Bypasses   int64 `json:"bypasses"` // reads that are not cached
	Writes     int64 `json:"writes"`

	HitRate float64 `json:"hit_rate"` // of the reads, 0 to 1
	// SecondsSaved is what the upstream would have taken for the hits, Seconds what it took for everything else.
	SecondsSaved float64 `json:"seconds_saved"`
	Seconds      float64 `json:"seconds"`
	// OverheadSeconds is what caching cost the misses beside that.
	OverheadSeconds float64 `json:"overhead_seconds"`
	Kept            int64   `json:"kept"`         // results that were kept, over time
	FilledBytes     int64   `json:"filled_bytes"` // of these

	// Of the results that were kept, those that took the place of another one: after a write or a flush; because that was too old, though it was
	// still right; because that was too old, and it was wrong, though pgrecall knows of no write.
	Invalidated      int64 `json:"invalidated"`
	RenewedUnchanged int64 `json:"renewed_unchanged"`
	RenewedChanged   int64 `json:"renewed_changed"`

	// Of the bypasses those of shadow mode that the cache could have answered: as PostgreSQL did, in another way, or nobody can tell.
	WouldHits         int64   `json:"would_hits"`
	Differed          int64   `json:"differed"`
	Inconclusive      int64   `json:"inconclusive"`
	WouldSecondsSaved float64 `json:"would_seconds_saved"` // what PostgreSQL took for would_hits
}

// Statement is a shape of statements: those that are alike but for their constants.
type Statement struct {
	Fingerprint string    `json:"fingerprint"` // hexadecimal
	Database    string    `json:"database"`
	Query       string    `json:"query"` // $n for constants; "" where there is no such form
	Tables      []string  `json:"tables"`
	Rule        string    `json:"rule"` // "" for the policy's defaults
	Last        time.Time `json:"last"`
	RowSecurity bool      `json:"row_security"` // policies of row security may restrict its answers
	// WholeWrites are the writes that made everything of the database invalid.
	WholeWrites int64 `json:"whole_writes"`
	Counts
	Worth *Worth `json:"worth,omitempty"` // where enough was measured
}

// Worth says whether caching a shape pays: from the hit rate break_even on. Times are in seconds, for one statement.
type Worth struct {
	Origin    float64 `json:"origin"` // at the upstream alone
	Miss      float64 `json:"miss"`
	Hit       float64 `json:"hit"`
	HitRate   float64 `json:"hit_rate"` // of hits among hits and misses
	BreakEven float64 `json:"break_even"`
	Pays      bool    `json:"pays"`
}

// Table is what became of the statements that read or write a table. The name is "" for those that are not kept apart.
type Table struct {
	Database string `json:"database"`
	Name     string `json:"name"`
	Counts
	// Invalidations of what depends on it, by source. Those of everything in the database are with the name "*", those of all databases with that and no database.
	Invalidations map[string]int64 `json:"invalidations"`
	Worth         *Worth           `json:"worth,omitempty"` // of all its statements that may be cached
}

// Rule is what became of the statements that a rule decides; the name is "" for the policy's defaults.
type Rule struct {
	Name string `json:"name"`
	Counts
}

// Traffic is what became of statements.
type Traffic struct {
	Statements []Statement `json:"statements"` // those first that took, or would have taken, the most of the upstream's time
	// Rest is of the statements that are not kept apart.
	Rest   Counts  `json:"rest"`
	Tables []Table `json:"tables"` // those first with the most statements
	Rules  []Rule  `json:"rules"`
	Policy Policy  `json:"policy"` // that holds now
}

// traffic takes one parameter: the number of statements and of tables.
func (s *Server) traffic(w http.ResponseWriter, r *http.Request) {
	n, ok := number(w, r, "n")
	if !ok {
		return
	}
	t := s.proxy.Traffic()
	t.Statements, t.Tables = t.Statements[:min(n, len(t.Statements))], t.Tables[:min(n, len(t.Tables))]
	writeJSON(w, http.StatusOK, t)
}
