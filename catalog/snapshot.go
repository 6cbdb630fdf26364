package catalog

import "time"

// Snapshot is what pgrecall knows of one database's definitions: immutable once loaded.
type Snapshot struct {
	Database      string
	ServerVersion int // server_version_num
	LoadedAt      time.Time
	// Digest changes whenever anything that the snapshot holds does.
	Digest [32]byte
	// Under tells apart all that an answer may come from but rows and the session's own settings: Digest, roles and memberships, the run of the server and the
	// database's OID. It is the same in all processes that see the same.
	Under [32]byte
	// UnsafeCasts is true when somebody created a cast between two built-in types, implicit or by assignment, with a function that is
	// not immutable. Other such casts show at the types that users made: see Type.Converts.
	UnsafeCasts bool
	// VolatileCasts are the OIDs of volatile functions of casts that users created: any conversion may run them.
	VolatileCasts []uint32
	// EventTriggers is true when the database has an enabled event trigger.
	EventTriggers bool
	// LoginTriggers are the OIDs of the functions of enabled event triggers that fire at each login (since PostgreSQL 17), whoever's it is.
	LoginTriggers []uint32
	// HiddenCalls are the names of functions with one argument that takes rows, other than immutable ones. A
	// query can call them without the syntax of a call: t.f means f(t) where t has no column f (manual, section 8.16.5).
	HiddenCalls []string
	// CustomSettings are the names of settings with a dot (app.tenant) that ALTER ROLE or ALTER DATABASE sets, or that
	// a view or policy reads by current_setting: in lower case, sorted, once each.
	CustomSettings []string

	relations  map[name]*Relation
	byOID      map[uint32]*Relation
	functions  map[string][]*Function
	byFunction map[uint32]*Function // those of users
	operators  map[string][]*Operator
	types      map[name]*Type
	typeByOID  map[uint32]*Type
	memo       memo
}

type name struct{ schema, name string }

// Relation is a row of pg_class with all that a cache must know of it.
type Relation struct {
	OID          uint32
	Schema, Name string
	Kind         byte // relkind: r p v m f S ...
	Persistence  byte // relpersistence: p u t
	RowSecurity  bool
	Policies     []Policy // those of row security, none while that is disabled
	PolicyReads  []uint32 // relations that policies for reading name, the relation itself aside
	Children     []uint32 // direct partitions and inheriting tables
	Parents      []uint32
	// TemporaryChildren is true when a session's temporary table inherits from it: that session sees other rows.
	TemporaryChildren bool
	// ViewDefinition is pg_get_viewdef with an empty search_path: all names outside pg_catalog are qualified. Of a
	// materialized view it is what REFRESH runs: reading that one reads nothing else.
	ViewDefinition string
	ViewReads      []uint32 // relations that the view's rule reads, direct ones
	// Rules is true for rules other than a view's own _RETURN.
	Rules bool
	// Triggers are the enabled ones that users made.
	Triggers []Trigger
	// ReferencedBy are the foreign keys that point here.
	ReferencedBy []ForeignKey
	// VolatileFunctions are the OIDs of volatile functions outside pg_catalog, not known to be harmless, that a default, check,
	// policy, index or domain of the relation calls: a write runs them.
	VolatileFunctions []uint32
	// Converts is Type.Converts of a column or of the relation's rows.
	Converts bool
	// UnsafeColumn names a column whose type a cache must not trust (see Type.Safe), "" for none.
	UnsafeColumn string
	// ColumnTypes maps a column's name to its type's name (pg_type.typname of the base type of domains and elements of arrays),
	// qualified with its schema unless initdb made the type.
	ColumnTypes map[string]string
}

// Trigger is an enabled trigger that a user made.
type Trigger struct {
	Name                             string
	Function                         uint32
	Insert, Update, Delete, Truncate bool
	InsteadOf                        bool
	// Deferrable is true for a constraint trigger that may fire as late as COMMIT, under the settings of then.
	Deferrable bool
	// Condition is pg_get_triggerdef of a trigger that has a WHEN, "" for others: see Snapshot.TriggerCondition.
	Condition string
	// Transitions are the names of its transition tables (REFERENCING OLD TABLE, NEW TABLE), which its function may read.
	Transitions []string
}

// ForeignKey is a constraint of another relation that references this one.
type ForeignKey struct {
	Referencing        uint32
	OnUpdate, OnDelete byte // a no action, r restrict, c cascade, n set null, d set default
}

// Function is a row of pg_proc.
type Function struct {
	OID          uint32
	Schema, Name string
	Args         int
	Defaults     int
	Variadic     bool
	Volatility   byte // i s v; of an aggregate made by a user the worst of its functions'
	Kind         byte // f a w p
	Builtin      bool // of pg_catalog, made by initdb
	UnsafeResult bool // its result's type is not Safe
	Converts     bool // Type.Converts of an argument or a result
	Harmless     bool // of a well-known extension whose functions write no table
	OrderedSet   bool // an ordered-set or hypothetical-set aggregate: a call names only its direct arguments

	// What follows is told of functions and procedures outside pg_catalog.

	// Language is sql or plpgsql, "" for others, whose bodies nobody reads here. See Snapshot.Body.
	Language      string
	Source        string   // the body; where Standard is true, pg_get_functiondef
	Standard      bool     // the body is in SQL's standard form: its names were resolved when the function was made
	DefaultValues string   // the arguments' defaults, separated by commas, written as with an empty search path
	Definer       bool     // SECURITY DEFINER
	Settings      []string // SET of the function, as name=value
	// VolatileTypes is true when a value of one of its arguments' types or of its result's is checked by a volatile function (Type.Volatile);
	// TimeTypes is true when one of them holds dates or times (Type.Time).
	VolatileTypes, TimeTypes bool
}

// Accepts tells whether a call with so many arguments can mean this function.
func (f *Function) Accepts(args int, variadic bool) bool {
	if f.OrderedSet {
		return true
	}
	if f.Kind == 'a' && args == 0 { // count(*)
		return f.Args == 0
	}
	if f.Kind == 'p' { // CALL names the arguments that are OUT, too
		return args >= f.Args-f.Defaults
	}
	if f.Variadic {
		return args >= f.Args-1-f.Defaults
	}
	return args >= f.Args-f.Defaults && args <= f.Args
}

// Operator is a row of pg_operator with the volatility of its function.
type Operator struct {
	OID          uint32
	Schema, Name string
	Volatility   byte
	Builtin      bool
	UnsafeResult bool   // its result's type is not Safe
	Converts     bool   // Type.Converts of an operand or the result
	Extension    string // that it belongs to, "" for none
}

// Type is a row of pg_type.
type Type struct {
	OID          uint32
	Schema, Name string
	// Safe types are built in (except reg*, timetz, and what depends on more than settings), enumerations, domains and
	// arrays of such, and types of extensions whose input and output functions are immutable.
	Safe bool
	// UnsafeCast is true when somebody created an explicit cast to this type, or one that its values hold, with a function that isn't immutable.
	UnsafeCast bool
	// Converts is true when somebody created a cast with a function that isn't immutable from or to this type, or one that its values hold,
	// and the cast may be where nothing names it. Such a cast takes a value of one type and something of the other, a column, an
	// argument or a name: where neither this type nor what holds it occurs, it can't be (manual, section 10).
	Converts bool
	// Volatile is true when a value of this type, or in it, is checked by a volatile function made by a user.
	Volatile bool
	// Time is true for date, time and timestamp types and for what holds them (domains, arrays, ranges, composites):
	// converting a text to it may read the clock ('today').
	Time bool
	// Base is the name of the type behind domains and arrays, as in Relation.ColumnTypes.
	Base string
}
