package admin

// Policy is what the configuration says of caching, as it holds now, in the words of the configuration's file.
type Policy struct {
	DefaultTTL  string     `json:"default_ttl"`
	MaxResult   string     `json:"max_result"`
	Consistency string     `json:"consistency"`
	Rules       []RuleText `json:"rules"`
	Functions   []Declared `json:"functions"`
	Triggers    []Declared `json:"triggers"`
}

// RuleText is a rule of the configuration. What it does not say is "".
type RuleText struct {
	Name                 string    `json:"name,omitempty"`
	Match                MatchText `json:"match"`
	Cache                string    `json:"cache,omitempty"`
	TTL                  string    `json:"ttl,omitempty"`
	MaxResult            string    `json:"max_result,omitempty"`
	Consistency          string    `json:"consistency,omitempty"`
	StaleWhileRevalidate string    `json:"stale_while_revalidate,omitempty"`
	StaleIfError         string    `json:"stale_if_error,omitempty"`
}

// MatchText says what a rule is for.
type MatchText struct {
	Tables      []string `json:"tables,omitempty"`
	Schema      string   `json:"schema,omitempty"`
	Database    string   `json:"database,omitempty"`
	User        string   `json:"user,omitempty"`
	Fingerprint string   `json:"fingerprint,omitempty"`
	Query       string   `json:"query,omitempty"`
}

// Declared is what the configuration declares of functions or triggers.
type Declared struct {
	Name    string   `json:"name"`
	Table   string   `json:"table,omitempty"` // of triggers
	Effects string   `json:"effects,omitempty"`
	Reads   []string `json:"reads,omitempty"`
	Writes  []string `json:"writes,omitempty"`
	Cache   bool     `json:"cache,omitempty"`
}
