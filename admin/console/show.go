package console

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/pgrecall/pgrecall/cachepolicy"
)

// mostRows is the greatest LIMIT.
const mostRows = 10_000

// show is what SHOW shows under a name.
type show struct {
	name, help string
	columns    []column
	limit      int // of rows unless LIMIT says, 0 where there is no LIMIT
	rows       func(s *Server, limit int) [][]any
}

// shows returns all of them, in the order of SHOW HELP.
func shows() []show {
	return []show{
		{name: "STATS", help: "what the cache has done since the start", columns: statsColumns(), rows: stats},
		{name: "TABLES", help: "the tables with their rules and what became of their statements", limit: 1000, rows: tables, columns: []column{
			{"database", text}, {"table", text}, {"rule", text}, {"partly", text}, {"cached", boolean}, {"ttl_seconds", float8}, {"consistency", text},
			{"hits", int8Kind}, {"misses", int8Kind}, {"bypasses", int8Kind}, {"writes", int8Kind}, {"invalidations", int8Kind}}},
		{name: "STATEMENTS", help: "the shapes of statements that take the most time, and why they are not cached", limit: 100, rows: statements, columns: []column{
			{"fingerprint", text}, {"database", text}, {"hits", int8Kind}, {"misses", int8Kind}, {"bypasses", int8Kind}, {"seconds", float8},
			{"max_seconds", float8}, {"seconds_saved", float8}, {"reason", text}, {"detail", text}, {"last", timestamptz}, {"tables", text}, {"rule", text}, {"query", text},
			{"hit_rate", float8}, {"break_even", float8}, {"pays", boolean}}},
		{name: "BYPASS", help: "why reads were not answered from the cache", rows: bypasses, columns: []column{
			{"reason", text}, {"statements", int8Kind}, {"meaning", text}, {"change", text}}},
		{name: "CLIENTS", help: "the connections", rows: clients, columns: []column{
			{"pid", int8Kind}, {"role", text}, {"database", text}, {"address", text}, {"tls", boolean}, {"state", text}, {"connected", timestamptz}}},
		{name: "CONFIG", help: "the configuration that is in force; secrets are not shown", rows: configuration, columns: []column{
			{"name", text}, {"value", text}, {"default_value", text}, {"reload", boolean}, {"restart_needed", boolean}}},
		{name: "TIERS", help: "the tiers of the cache", rows: tiers, columns: []column{
			{"tier", text}, {"up", boolean}, {"entries", int8Kind}, {"bytes", int8Kind}, {"limit_bytes", int8Kind}, {"evictions", int8Kind},
			{"hits", int8Kind}, {"misses", int8Kind}}},
		{name: "HELP", help: "this", rows: help, columns: []column{{"command", text}, {"meaning", text}}},
	}
}

// Labels of the counters in admin.Status that have columns of their own.
func outcomeLabels() []string {
	return []string{"hit_l1", "hit_l2", "miss", "bypass", "write", "other"}
}
func sourceLabels() []string { return []string{"in_band", "replication", "bus", "ddl", "admin"} }
func resultLabels() []string { return []string{"same", "different", "inconclusive"} }

func statsColumns() []column {
	columns := []column{{"version", text}, {"upstream", text}, {"started", timestamptz}, {"uptime_seconds", float8}, {"cache", text}, {"paused", boolean},
		{"ready", boolean}, {"not_ready", text}, {"clients", int8Kind}, {"hit_rate", float8}, {"seconds_saved", float8}}
	for _, label := range outcomeLabels() {
		columns = append(columns, column{label, int8Kind})
	}
	for _, label := range sourceLabels() {
		columns = append(columns, column{"invalidations_" + label, int8Kind})
	}
	for _, label := range resultLabels() {
		columns = append(columns, column{"verified_" + label, int8Kind})
	}
	return append(columns, column{"doubts", int8Kind})
}

func stats(s *Server, _ int) [][]any {
	st := s.Proxy.Status()
	ready, why := true, any(nil)
	if err := s.Proxy.Ready(); err != nil {
		ready, why = false, err.Error()
	}
	row := []any{st.Version, st.Upstream, st.Started, st.Now.Sub(st.Started).Seconds(), st.Cache, s.Proxy.Paused(), ready, why, int64(st.ClientConnections),
		st.HitRate(), st.UpstreamSecondsSaved}
	for _, label := range outcomeLabels() {
		row = append(row, int64(st.Statements[label]))
	}
	for _, label := range sourceLabels() {
		row = append(row, int64(st.Invalidations[label]))
	}
	for _, label := range resultLabels() {
		row = append(row, int64(st.Verifications[label]))
	}
	return [][]any{append(row, int64(len(st.Doubts)))}
}

func tables(s *Server, limit int) [][]any {
	list := s.Proxy.Tables(limit)
	rows := make([][]any, 0, len(list))
	for i := range list {
		t := &list[i]
		row := []any{t.Database, t.Name, orNull(t.Rule), orNull(t.Partly), t.Cached, nil, nil, nil, nil, nil, nil, nil}
		if t.Cached {
			row[5], row[6] = t.TTL.Seconds(), t.Consistency
		}
		if c := t.Traffic; c != nil {
			row[7], row[8], row[9], row[10], row[11] = c.Hits, c.Misses, c.Bypasses, c.Writes, c.Invalidations
		}
		rows = append(rows, row)
	}
	return rows
}

func statements(s *Server, limit int) [][]any {
	list := s.Proxy.Statements(limit)
	rows := make([][]any, 0, len(list))
	for i := range list {
		t := &list[i]
		row := []any{t.Fingerprint, t.Database, nil, nil, number(t.Bypassed), t.Seconds, nil, nil, orNull(t.Reason), orNull(t.Detail),
			moment(t.Last), orNull(t.Tables), orNull(t.Rule), orNull(t.Query), nil, nil, nil}
		if c := t.Traffic; c != nil {
			row[2], row[3], row[4] = c.Hits, c.Misses, c.Bypasses
		}
		if t.MaxSeconds != nil {
			row[6] = *t.MaxSeconds
		}
		if t.SecondsSaved != nil {
			row[7] = *t.SecondsSaved
		}
		if w := t.Worth; w != nil {
			row[14], row[15], row[16] = w.HitRate, w.BreakEven, w.Pays
		}
		rows = append(rows, row)
	}
	return rows
}

func bypasses(s *Server, _ int) [][]any {
	counts := s.Proxy.Status().Bypasses
	reasons := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	var rows [][]any
	for _, reason := range reasons {
		if n := counts[reason]; n > 0 {
			what, change := cachepolicy.Reason(reason).Meaning()
			rows = append(rows, []any{reason, int64(n), what, change})
		}
	}
	return rows
}

func clients(s *Server, _ int) [][]any {
	var rows [][]any
	for _, c := range s.Proxy.Clients() {
		row := []any{nil, orNull(c.Role), orNull(c.Database), c.Address, c.Encrypted, c.State, c.Connected}
		if c.PID != 0 {
			row[0] = c.PID
		}
		rows = append(rows, row)
	}
	return rows
}

func configuration(s *Server, _ int) [][]any {
	var rows [][]any
	for _, c := range s.Proxy.Settings() {
		rows = append(rows, []any{c.Name, c.Value, c.Default, c.Reload, c.Pending})
	}
	return rows
}

func tiers(s *Server, _ int) [][]any {
	var rows [][]any
	for _, t := range s.Proxy.Tiers() {
		rows = append(rows, []any{t.Name, t.Up, number(t.Entries), number(t.Bytes), number(t.LimitBytes), number(t.Evictions), number(t.Hits), number(t.Misses)})
	}
	return rows
}

func help(*Server, int) [][]any {
	var rows [][]any
	for _, sh := range shows() {
		name := "SHOW " + sh.name
		if sh.limit > 0 {
			name += " [LIMIT n]"
		}
		rows = append(rows, []any{name, sh.help})
	}
	return append(rows,
		[]any{"FLUSH ALL", "removes everything that is cached, here and in what is shared with others"},
		[]any{"FLUSH [TABLE t] [FINGERPRINT f] [TENANT x] [DATABASE d]", "removes what all of these fit"},
		[]any{"PAUSE", "nothing is served from the cache nor enters it until RESUME; this pgrecall alone"},
		[]any{"RESUME", "ends PAUSE"},
		[]any{"RELOAD", "reads the configuration anew, as SIGHUP does"},
		[]any{"EXPLAIN [DATABASE d] [USER u] sql", "whether the statement is cached, why not, and what invalidates it"})
}

// number returns what a pointer points to, nil for nil.
func number(n *int64) any {
	if n == nil {
		return nil
	}
	return *n
}

// moment returns a time, nil where there is none.
func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}
