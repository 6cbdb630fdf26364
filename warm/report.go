package warm

import (
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Outcomes of one query.
const (
	Loaded   = "loaded"   // asked of PostgreSQL, and in the cache now
	Present  = "present"  // in the cache already
	Skipped  = "skipped"  // not asked, or not kept, with the reason
	Failed   = "error"    // PostgreSQL or the connection failed
	Eligible = "eligible" // in a dry run: would be asked for
)

// Report is what came of a run. It holds no values of parameters.
type Report struct {
	Database string         `json:"database"`
	User     string         `json:"user"`
	Total    int            `json:"total"`
	Loaded   int            `json:"loaded"`
	Present  int            `json:"present"`
	Skipped  int            `json:"skipped"`
	Errors   int            `json:"errors"`
	Eligible int            `json:"eligible,omitempty"`
	Seconds  float64        `json:"seconds"`
	Stopped  string         `json:"stopped,omitempty"` // why the run ended early
	Reasons  map[string]int `json:"reasons"`           // of what was skipped or failed
	Queries  []Result       `json:"queries"`           // in the order of their answers
}

// Result is what came of one query.
type Result struct {
	Place        string  `json:"place"`
	Query        string  `json:"query"` // $n for constants; "" where there is no such form
	Outcome      string  `json:"outcome"`
	Reason       string  `json:"reason,omitempty"`
	Milliseconds float64 `json:"milliseconds"`
}

// Done is the number of queries that have a result.
func (r *Report) Done() int { return len(r.Queries) }

func (r *Report) add(item *Item, outcome, reason string, took time.Duration) {
	switch outcome {
	case Loaded:
		r.Loaded++
	case Present:
		r.Present++
	case Skipped:
		r.Skipped++
	case Failed:
		r.Errors++
	case Eligible:
		r.Eligible++
	}
	if reason != "" {
		r.Reasons[reason]++
	}
	r.Queries = append(r.Queries, Result{item.Place, shape(item.SQL), outcome, reason, float64(took.Microseconds()) / 1000})
}

// describe says what failed without the values that PostgreSQL's message may quote.
func describe(err error) string {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return "connection: " + err.Error()
	}
	switch {
	case e.Code == "57014":
		return "57014: " + e.Message // canceling statement due to statement timeout
	case e.Code[:2] == "42" && e.Code != "42601", e.Code[:2] == "28", e.Code[:2] == "53", e.Code[:2] == "57":
		return e.Code + ": " + e.Message // names objects, not values
	}
	return "SQLSTATE " + e.Code
}
