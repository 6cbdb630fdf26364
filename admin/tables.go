package admin

import (
	"net/http"
	"time"
)

// RuledTable is a table with the rules that hold for it.
type RuledTable struct {
	Table
	// Known is false where no catalog has the table any more, or Table is no single table.
	Known bool `json:"known"`
	// Rule is the first that holds for every statement that reads this table alone, "" for the policy's defaults. Partly are rules before
	// that one which hold for some of these statements.
	Rule        string   `json:"rule"`
	Partly      []string `json:"partly,omitempty"`
	Cached      bool     `json:"cached"` // false: the rule says never
	TTLSeconds  float64  `json:"ttl_seconds"`
	Consistency string   `json:"consistency"`
}

// tables takes one parameter: the number of tables.
func (s *Server) tables(w http.ResponseWriter, r *http.Request) {
	n, ok := number(w, r, "n")
	if !ok {
		return
	}
	list, all := s.proxy.Tables(n)
	writeJSON(w, http.StatusOK, map[string]any{"tables": list, "all": all})
}

// Client is a connection of a client.
type Client struct {
	PID       uint32    `json:"pid"` // of its backend at the upstream, 0 before that is known
	Role      string    `json:"role"`
	Database  string    `json:"database"`
	Address   string    `json:"address"`
	Encrypted bool      `json:"encrypted"`
	State     string    `json:"state"`
	Connected time.Time `json:"connected"`
}

// clients takes one parameter: the number of connections, the oldest first.
func (s *Server) clients(w http.ResponseWriter, r *http.Request) {
	n, ok := number(w, r, "n")
	if !ok {
		return
	}
	list := s.proxy.Clients()
	writeJSON(w, http.StatusOK, map[string]any{"clients": list[:min(n, len(list))], "all": len(list)})
}
