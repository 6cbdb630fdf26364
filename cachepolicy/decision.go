package cachepolicy

import (
	"time"

	"github.com/pgrecall/pgrecall/catalog"
)

// Verdict is what happens to a read.
type Verdict uint8

// Verdicts.
const (
	Bypass Verdict = iota // forward, do not cache
	Cache
)

// Reason says why a statement is not answered from the cache. It is the label of
// pgrecall_bypass_total, the word in logs and in explain: keep the words.
type Reason string

// Reasons.
const (
	ReasonNone Reason = ""

	// Statement.
	ReasonNotParsed       Reason = "not_parsed"
	ReasonNotRead         Reason = "not_read"
	ReasonMultiStatement  Reason = "multi_statement"
	ReasonLocking         Reason = "locking_clause"
	ReasonWritesInWith    Reason = "data_modifying"
	ReasonCurrentTime     Reason = "current_time"
	ReasonTimeLiteral     Reason = "time_literal"
	ReasonTimeCast        Reason = "time_cast"
	ReasonSystemColumn    Reason = "system_column"
	ReasonTableSample     Reason = "table_sample"
	ReasonUnsupported     Reason = "unsupported_syntax"
	ReasonNoRelation      Reason = "no_relation"
	ReasonVolatile        Reason = "volatile_function"
	ReasonStable          Reason = "stable_function"
	ReasonUnknownFunction Reason = "unknown_function"
	ReasonUnknownOperator Reason = "unknown_operator"
	ReasonUnknownType     Reason = "unknown_type"
	ReasonUnsafeCast      Reason = "unsafe_cast"
	ReasonLoginTrigger    Reason = "login_trigger" // an event trigger changes it at each login

	// Relation.
	ReasonUnknownRelation Reason = "unknown_relation"
	ReasonSystemCatalog   Reason = "system_catalog"
	ReasonForeignTable    Reason = "foreign_table"
	ReasonRelationKind    Reason = "relation_kind"
	ReasonTemporary       Reason = "temporary_relation"
	ReasonRowSecurity     Reason = "row_security"
	ReasonColumnType      Reason = "column_type"

	// Policy.
	ReasonRuleNever   Reason = "rule_never"
	ReasonDirective   Reason = "directive_off"
	ReasonSessionOff  Reason = "session_off"
	ReasonCacheOff    Reason = "cache_off"
	ReasonPaused      Reason = "paused"
	ReasonShadow      Reason = "shadow"
	ReasonDiffered    Reason = "verification_differed"
	ReasonNotWorth    Reason = "not_worth_it" // it costs more than it saves (cache.auto)
	ReasonResultLarge Reason = "result_too_large"
	ReasonAudit       Reason = "audit" // nothing can be recorded of it (audit.required)

	// Session.
	ReasonTransaction Reason = "transaction"
	ReasonIsolation   Reason = "isolation_level"
	ReasonPipeline    Reason = "pipeline"
	ReasonSettings    Reason = "settings_unknown"
	ReasonEncoding    Reason = "client_encoding"
	ReasonPortal      Reason = "portal"
	ReasonPrepared    Reason = "prepared_elsewhere"
	ReasonReplication Reason = "replication_session"
	ReasonParameter   Reason = "time_parameter"
	ReasonProtocol    Reason = "protocol_state"
	ReasonOversized   Reason = "oversized_message"

	// State.
	ReasonNoCatalog Reason = "no_catalog"
	ReasonFenced    Reason = "write_in_flight"
)

// Consistency is how fresh an answer must be (DESIGN section 5).
type Consistency uint8

// Levels of consistency.
const (
	Strict Consistency = iota
	Session
	TTL
)

// Scope is what of a session a decision and a key depend on. Sessions with equal values share one Scope,
// so that pointers can be compared. Digest covers every field and every setting that can change an answer.
type Scope struct {
	Database    string
	SessionUser string
	CurrentUser string
	Schemas     []string // current_schemas(true), in order
	Temporary   bool     // the session has a temporary schema: names may be shadowed
	// TemporaryNames are those of the relations and types in it, see catalog.Temporary; nil when they are not known.
	TemporaryNames map[string]bool
	Digest         [32]byte
	ID             uint64
}

// temporaries returns what is known of the session's temporary schema.
func (s *Scope) temporaries() catalog.Temporary {
	return catalog.Temporary{Exists: s.Temporary, Names: s.TemporaryNames}
}

// Decision is the policy's answer for one statement in one scope.
type Decision struct {
	Verdict     Verdict
	Reason      Reason
	Detail      string // what exactly: the function's, relation's, column's name
	TTL         time.Duration
	MaxResult   int // bytes
	Consistency Consistency
	// StaleWhileRevalidate and StaleIfError are those of the rule: 0 for not at all.
	StaleWhileRevalidate, StaleIfError time.Duration

	Rule      *Rule    // the rule that decided, nil for the defaults
	Relations []uint32 // OIDs of everything that the answer depends on, expanded, sorted
	// Settings are the custom settings (app.tenant) that the answer depends on: lower case, sorted, once each. The key of a
	// cached answer must hold the value of each, and tell one that is not set from an empty one.
	Settings []string
	// RowSecurity tells that policies of row security may restrict the answer. A statement that was prepared before roles or memberships
	// changed goes on under the policies of then: PostgreSQL does not plan it anew (plancache.c looks at the user and row_security only).
	RowSecurity bool
}

// Kept is how long an answer is of use to anybody.
func (d *Decision) Kept() time.Duration { return d.TTL + max(d.StaleWhileRevalidate, d.StaleIfError) }
