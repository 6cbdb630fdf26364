package parser

import (
	"sync"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// Kind says what one SQL command is to a cache.
type Kind uint8

// Kinds of commands. The zero value is the safe one.
const (
	// KindUnknown is a command that was not understood, or DO, CALL, LOAD: it may do anything.
	KindUnknown Kind = iota
	// KindSelect is SELECT, WITH ... SELECT, VALUES or TABLE. It reads only, as far
	// as syntax tells: see Command.Locking, Into, Writes and Functions.
	KindSelect
	// KindWrite changes rows of the relations in Command.Writes: INSERT, UPDATE,
	// DELETE, MERGE, TRUNCATE, COPY FROM, REFRESH MATERIALIZED VIEW, a WITH that holds
	// one of them, EXPLAIN ANALYZE of one of them.
	KindWrite
	// KindDefinition is DDL, GRANT, REVOKE, ALTER ROLE ... and all that changes what
	// names, rights or types mean in this database or the cluster.
	KindDefinition
	// KindTempDefinition creates a temporary relation only (CREATE TEMP TABLE, ... AS,
	// SELECT INTO TEMP): it concerns this session alone. One that also writes, inherits or runs a
	// prepared statement is KindDefinition, like every CREATE whose name alone does not tell.
	KindTempDefinition
	// KindBegin is BEGIN or START TRANSACTION.
	KindBegin
	// KindCommit is COMMIT, END (Command.Chain: AND CHAIN).
	KindCommit
	// KindRollback is ROLLBACK, ABORT (Command.Chain: AND CHAIN).
	KindRollback
	// KindSavepoint is SAVEPOINT or RELEASE SAVEPOINT.
	KindSavepoint
	// KindRollbackTo is ROLLBACK TO SAVEPOINT.
	KindRollbackTo
	// KindPrepareTransaction is PREPARE TRANSACTION.
	KindPrepareTransaction
	// KindFinishPrepared is COMMIT PREPARED or ROLLBACK PREPARED.
	KindFinishPrepared
	// KindSet changes settings of the session: SET, SET LOCAL, RESET, SET ROLE, SET
	// SESSION AUTHORIZATION, SET TRANSACTION, SET CONSTRAINTS.
	KindSet
	// KindDiscard is DISCARD (ALL drops prepared statements, too).
	KindDiscard
	// KindPrepare is SQL PREPARE; KindExecute SQL EXECUTE; KindDeallocate DEALLOCATE.
	KindPrepare
	KindExecute
	KindDeallocate
	// KindNeutral touches no data, no definition and no setting: SHOW, LISTEN, NOTIFY, UNLISTEN,
	// EXPLAIN without ANALYZE, COPY TO of a relation, DECLARE CURSOR, FETCH, MOVE, CLOSE, LOCK,
	// CHECKPOINT, ANALYZE, VACUUM without FULL, COMMENT is not one (definition).
	KindNeutral
)

// WriteOp is how a write changes its relation.
type WriteOp uint8

// Ways of writing.
const (
	OpInsert WriteOp = iota + 1
	OpUpdate
	OpDelete
	OpMerge    // any of insert, update, delete
	OpTruncate // see Write.Cascade
	OpCopy     // COPY FROM
	OpRefresh  // REFRESH MATERIALIZED VIEW
)

// Relation is a relation's name as the text has it. Schema is empty when the name is
// not qualified. Names are folded and truncated as PostgreSQL does it.
type Relation struct{ Catalog, Schema, Name string }

// Write is a relation that a command changes. INSERT ... ON CONFLICT DO UPDATE appears
// as two Writes, OpInsert and OpUpdate. UPDATE and DELETE with several ones likewise.
type Write struct {
	Relation
	Op      WriteOp
	Cascade bool // TRUNCATE ... CASCADE
}

// Function is a call as the text has it.
type Function struct {
	Schema, Name string
	Args         int  // number of arguments given, * counts none
	Variadic     bool // VARIADIC given
	Named        bool // some argument is named
	Cast         bool // Command.Casts has what date(x), time(x), timestamp(x) or timestamptz(x) converts, should it be a cast
}

// Operator is an operator as the text has it; Schema is empty without OPERATOR(s.o).
type Operator struct{ Schema, Name string }

// CastSource is what a cast converts.
type CastSource uint8

// Sources of casts.
const (
	CastOther    CastSource = iota
	CastConstant            // a literal or NULL
	CastParam               // $n
	CastColumn              // a column reference, see Cast.Column and Cast.Relation
	CastFunction            // result of a function call, see Cast.Function
	CastPassedOn            // result of Cast.Function, where pg_catalog's function of that name returns what other casts tell of
	CastOperator            // result of the operator in Cast.Function, + or -
	CastTyped               // another cast, see Cast.FromType
)

// Cast is an explicit cast (::, CAST, type 'literal'), or one in function notation (Call).
//
// For types whose name is none of the common ones that hold no time, an expression with several sources
// (coalesce, CASE, a column of a subquery or CTE, a column name that may be of several relations) has a Cast for each: the
// converted value has the type of one of them. Relation then tells whose column it is. Where one of the sources
// is not known there is a single Cast with CastOther.
type Cast struct {
	Schema, Type         string // pg_catalog names folded: int4, timestamptz, ...; without []
	Array                bool
	Call                 bool // written as type(x)
	Source               CastSource
	Column               string   // last part of the column's name
	Relation             Relation // whose column it is, if Loose is not set; no name for the common types
	Loose                bool     // the column may be that of another loose Cast with the same Column, if Relation has none of that name
	Optional             bool     // the column exists, even if no relation has it
	Function             string   // name of the function, lower case
	FromSchema, FromType string   // CastTyped: as Schema and Type
}

// ValueKind says what stands for a value in the text.
type ValueKind uint8

// Kinds of values. NULL and numbers that are no integers make no Value.
const (
	ValueParam   ValueKind = iota + 1 // $n
	ValueInteger                      // a numeric constant that is an integer of 64 bits
	ValueText                         // a string constant, or an element of an array that is written as one
	ValueBoolean                      // true, false
)

// Value is a constant or a parameter, as the text has it. Which value of the column's type it is, that type
// decides: '01' is 1 to an int4 column. A parameter may be bound to NULL or have another type than Type.
type Value struct {
	Kind  ValueKind
	Param int    // ValueParam: n
	Text  string // the constant: digits with a sign, the string's content, "true" or "false"
	Type  string // type of the only cast around it, of an array's cast that of its elements, as Cast.Type; "" without one
	Array bool   // ValueParam: an array whose elements are the values, any number of them
}

// Predicate says that of one entry in FROM, or of the relation that UPDATE or DELETE changes, only rows count
// whose column equals one of the values: column = value, column IN (...), column = ANY (array), ANDed at the
// top level of the command's own WHERE or, for SELECT, of the ON of its inner joins. It holds if the column is one
// of a table, and = the usual equality of its type: a name may be a function of the row (see
// Command.Attributes), a relation a view.
//
// Nothing else in the command names the relation, so all that the command reads or changes of it, as far as
// its text says, are these rows; what views, policies, triggers, foreign keys and functions do is not in the
// text. A column that an UPDATE assigns has no predicate, so that one holds of its rows before and after; which
// other columns it changes is not told.
type Predicate struct {
	Relation Relation
	Alias    string // of the entry, "" without one
	Column   string
	Values   []Value // 1 to 16
}

// EntryColumn is a column of an entry in FROM.
type EntryColumn struct {
	Relation Relation
	Alias    string // of the entry, "" without one
	Column   string
}

// Equality says that only pairs of rows count whose columns are equal; conditions as for Predicate. JOIN USING
// and NATURAL JOIN make none.
type Equality struct{ Left, Right EntryColumn }

// Command is what one SQL command means to a cache: facts, no judgement.
type Command struct {
	Kind Kind
	// Tag is the command in a word or two, as "SELECT", "INSERT", "CREATE TABLE"; for logs.
	Tag string

	// Reads are the relations that the command reads, once each; names of its CTEs are
	// left out. Writes are the relations that it changes.
	Reads  []Relation
	Writes []Write

	Functions []Function // once each
	Operators []Operator // once each: explicit ones, and those that IN, BETWEEN, LIKE, NULLIF, IS DISTINCT, JOIN USING, CASE x WHEN imply
	Casts     []Cast     // once each
	// Attributes are the names that stand after a dot, once each: columns, or by functional notation
	// functions of one row (t.f and (t).f may mean f(t), manual section 8.16.5).
	Attributes []string
	// SettingsRead are the constant names given to functions called current_setting, of any schema, in lower case, once
	// each. SettingUnknown tells that such a call has a name that is no constant.
	SettingsRead   []string
	SettingUnknown bool

	// Bypass names of things that a cached answer can't hold, found in the tree.
	Locking         bool // FOR UPDATE, FOR SHARE ...
	Into            bool // SELECT INTO
	CurrentTime     bool // CURRENT_DATE, LOCALTIME, CURRENT_TIMESTAMP ... (any SQLValueFunction of time)
	SessionIdentity bool // CURRENT_USER, SESSION_USER, CURRENT_ROLE, CURRENT_CATALOG, CURRENT_SCHEMA
	TimeLiteral     bool // a string constant holds the word now, today, tomorrow or yesterday
	SystemColumn    bool // ctid, xmin, xmax, cmin, cmax are named (tableoid is not one of them)
	TableSample     bool
	RangeTableFunc  bool // XMLTABLE, JSON_TABLE, XML and SQL/JSON expressions: they call functions that the tree does not name
	Unsupported     bool // a node that the analysis does not know: not cacheable, and a write to anything
	UnsupportedWhat string
	ExecutesUnknown bool // DO, CALL (of the first of Functions), EXECUTE and the like inside: may do anything

	// Transaction control.
	Isolation string // BEGIN: "read committed", "serializable", ... or "" when not given
	Chain     bool   // COMMIT AND CHAIN, ROLLBACK AND CHAIN

	// Language and Body are those of DO's block, see AnalyzeBody.
	Language, Body string

	// Inner is the kind of the command inside EXPLAIN, PREPARE, DECLARE CURSOR and COPY (query) TO,
	// KindUnknown for all others. Of a plain EXPLAIN nothing else is told.
	Inner Kind

	// Names.
	Setting        string // KindSet: name of the setting in lower case, "" for several (SET TRANSACTION, SET CONSTRAINTS) or all
	SettingValue   string // KindSet: the values as written, joined by ", "; SET TIME ZONE INTERVAL has ""
	SettingLocal   bool   // KindSet: SET LOCAL
	SettingDefault bool   // KindSet: RESET, SET ... TO DEFAULT
	// SettingCalls are those of a query that is nothing but calls of set_config with constant names, in the order of its columns.
	SettingCalls  []SettingCall
	StatementName string // KindPrepare, KindExecute, KindDeallocate: name; "" for DEALLOCATE ALL
	CopyIn        bool   // COPY ... FROM STDIN: the server will ask for data
	Cluster       bool   // KindDefinition that concerns the whole cluster (roles, databases, ALTER SYSTEM)

	// MaxParam is the highest $n.
	MaxParam int
	// Constants is the number of literal constants in the expressions of the command, NULL aside.
	Constants int

	// Predicates and Equalities are restrictions of SELECT, UPDATE and DELETE (Equalities: SELECT only), 16 of
	// each at most. All of them hold; any one may be ignored, and what is doubtful is left out: a relation
	// without a Predicate counts with all its rows.
	Predicates []Predicate
	Equalities []Equality
}

// Directive is what the comments before and behind a statement say of it: /* pgrecall: ... */ rules it.
type Directive struct {
	Off bool   // "off"
	TTL string // "ttl=30s": the duration as written, "" when not given
	// TraceAt and TraceEnd are where in the text the body of the comment stands that holds a trace context (traceparent, as sqlcommenter writes it),
	// the last one where there are several; 0 for none. It rules nothing.
	TraceAt, TraceEnd uint32
}

// Statement is one SQL text analysed: immutable, shared between sessions.
type Statement struct {
	// Canonical is the canonical text (see Canonicalize). Empty text has no commands.
	Canonical string
	// Commands in the order of the text. Nil with Err set: nothing is known.
	Commands []Command
	// Err tells why the text was not understood.
	Err error
	// Size is an estimate of the bytes that this value holds.
	Size int

	fingerprint struct {
		once  sync.Once
		value uint64
	}
}

// Fingerprint returns pg_query's fingerprint of the text, for grouping and rules only, never a key; 0 when it is not known. The first call
// parses the text once more.
func (s *Statement) Fingerprint() uint64 {
	if s.Err != nil {
		return 0
	}
	s.fingerprint.once.Do(func() {
		if value, err := pg.FingerprintToUInt64(s.Canonical); err == nil {
			s.fingerprint.value = value
		}
	})
	return s.fingerprint.value
}

// Single returns the only command of the text, nil when there are none or several.
func (s *Statement) Single() *Command {
	if s.Err == nil && len(s.Commands) == 1 {
		return &s.Commands[0]
	}
	return nil
}

// Prepared returns what EXECUTE runs of a PREPARE, nil of other statements. Its text is that of the PREPARE.
func (s *Statement) Prepared() *Statement {
	c := s.Single()
	if c == nil || c.Kind != KindPrepare {
		return nil
	}
	body := *c
	body.Kind, body.Inner, body.StatementName = c.Inner, KindUnknown, ""
	return &Statement{Canonical: s.Canonical, Commands: []Command{body}, Size: s.Size}
}

// SettingCall is a call of set_config as a column of a query.
type SettingCall struct {
	Setting string // name in lower case
	Local   bool   // until the end of the transaction
}
