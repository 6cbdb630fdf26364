package cachepolicy

import (
	"slices"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/pgrecall/pgrecall/parser"
)

// Decide tells whether the answer to stmt may come from the cache in this scope (DESIGN section 4). A nil snapshot
// means bypass. The result depends on the arguments alone, so that callers may keep it for as long as these stay
// the same; it is meant to be kept, since it costs some microseconds. policy must have passed Compile.
//
// A decision says nothing of what changes from one execution to the next: the session's and transaction's state,
// directives in comments, parameters' values. Those are the proxy's to judge.
func Decide(stmt *parser.Statement, scope *Scope, snapshot *catalog.Snapshot, policy *Policy) Decision {
	command, bypass := single(stmt)
	if bypass != nil {
		return bypass.decision()
	}
	if snapshot == nil {
		return Decision{Reason: ReasonNoCatalog}
	}
	if bypass = syntax(command); bypass != nil {
		return bypass.decision()
	}
	j := judge{
		snapshot: snapshot, database: scope.Database, declared: policy.Declared, temporary: scope.temporaries(),
		session: catalog.SearchPath{Schemas: withSystem(scope.Schemas)}, seen: make(map[uint32]bool), functions: make(map[running]*functionReads),
	}
	named, bypass := j.command(command, scope.Schemas, scope.temporaries())
	if bypass != nil {
		return bypass.decision()
	}
	if len(j.dependencies) == 0 {
		return Decision{Reason: ReasonNoRelation}
	}
	slices.Sort(j.dependencies)
	j.dependencies = slices.Compact(j.dependencies)
	slices.Sort(j.settings)
	if bypass = j.login(); bypass != nil {
		return bypass.decision()
	}
	return policy.decide(&subject{
		stmt: stmt, scope: scope, snapshot: snapshot, named: named,
		all: j.dependencies, settings: slices.Compact(j.settings), secured: j.secured,
	})
}

// refusal is why something can't be cached.
type refusal struct {
	reason Reason
	detail string
}

func refuse(reason Reason, detail string) *refusal { return &refusal{reason, detail} }

func (r *refusal) decision() Decision {
	return Decision{Verdict: Bypass, Reason: r.reason, Detail: r.detail}
}

// single returns the statement's only command. The parser's message isn't told on: it may quote a constant.
func single(stmt *parser.Statement) (*parser.Command, *refusal) {
	switch {
	case stmt.Err != nil:
		return nil, refuse(ReasonNotParsed, "")
	case len(stmt.Commands) == 0:
		return nil, refuse(ReasonNotRead, "empty")
	case len(stmt.Commands) > 1:
		return nil, refuse(ReasonMultiStatement, "")
	}
	return &stmt.Commands[0], nil
}

// syntax refuses what the text alone shows.
func syntax(c *parser.Command) *refusal {
	switch {
	case len(c.Writes) > 0 && c.Tag == "SELECT":
		return refuse(ReasonWritesInWith, "")
	case c.Kind != parser.KindSelect || c.Into || len(c.Writes) > 0:
		return refuse(ReasonNotRead, c.Tag)
	case c.Locking:
		return refuse(ReasonLocking, "")
	case c.Unsupported:
		return refuse(ReasonUnsupported, c.UnsupportedWhat)
	case c.ExecutesUnknown || c.RangeTableFunc:
		return refuse(ReasonUnsupported, "")
	case c.CurrentTime:
		return refuse(ReasonCurrentTime, "")
	case c.TimeLiteral:
		return refuse(ReasonTimeLiteral, "")
	case c.SystemColumn:
		return refuse(ReasonSystemColumn, "")
	case c.TableSample:
		return refuse(ReasonTableSample, "")
	}
	return nil
}

// judge walks a command and the views below it.
type judge struct {
	snapshot     *catalog.Snapshot
	database     string
	seen         map[uint32]bool
	dependencies []uint32
	settings     []string // custom ones, with repetitions
	secured      bool     // row security is enabled on a relation

	// What functions are run under, whoever calls them: a statement, a view, a policy.
	session   catalog.SearchPath
	temporary catalog.Temporary
	declared  *catalog.Declarations
	functions map[running]*functionReads // that were judged, or are being judged
}

// command judges a command whose names are resolved along schemas. It returns the relations that it names.
func (j *judge) command(c *parser.Command, schemas []string, temporary catalog.Temporary) ([]*catalog.Relation, *refusal) {
	named := make([]*catalog.Relation, 0, len(c.Reads))
	for _, read := range c.Reads {
		r, bypass := j.resolve(read, schemas, temporary)
		if bypass == nil {
			bypass = j.relation(r)
		}
		if bypass != nil {
			return nil, bypass
		}
		named = append(named, r)
	}
	if j.snapshot.UnsafeCasts {
		return nil, refuse(ReasonUnsafeCast, "")
	}
	calls := calls{snapshot: j.snapshot, schemas: schemas, temporary: temporary, judge: j}
	bypass := calls.command(c)
	j.settings = append(j.settings, calls.settings...)
	return named, bypass
}

// resolve finds the relation that a name means.
func (j *judge) resolve(name parser.Relation, schemas []string, temporary catalog.Temporary) (*catalog.Relation, *refusal) {
	detail := name.Name
	if name.Schema != "" {
		detail = name.Schema + "." + name.Name
	}
	if temporarySchema(name.Schema) || name.Schema == "" && temporary.Shadows(name.Name) {
		return nil, refuse(ReasonTemporary, detail)
	}
	if name.Catalog != "" && name.Catalog != j.database {
		return nil, refuse(ReasonUnknownRelation, detail)
	}
	r, found := j.snapshot.Resolve(withSystem(schemas), name.Schema, name.Name)
	if !found {
		return nil, refuse(ReasonUnknownRelation, detail)
	}
	return r, nil
}

// withSystem puts pg_catalog in front of a path that doesn't name it, as PostgreSQL does.
func withSystem(schemas []string) []string {
	if slices.Contains(schemas, "pg_catalog") {
		return schemas
	}
	return append([]string{"pg_catalog"}, schemas...)
}

// login refuses what changes with each login.
func (j *judge) login() *refusal {
	if len(j.snapshot.LoginTriggers) == 0 {
		return nil
	}
	changed := invalidator.AtLogin(j.snapshot, j.declared)
	if changed.Whole {
		return refuse(ReasonLoginTrigger, changed.Reason)
	}
	for _, oid := range j.dependencies {
		if _, found := slices.BinarySearch(changed.Relations, oid); found {
			return refuse(ReasonLoginTrigger, j.snapshot.ByOID(oid).Name)
		}
	}
	return nil
}

// relation judges a relation and adds it, with everything that its rows come from, to the dependencies.
func (j *judge) relation(r *catalog.Relation) *refusal {
	if j.seen[r.OID] {
		return nil
	}
	j.seen[r.OID] = true
	detail := r.Schema + "." + r.Name
	switch {
	case system(r):
		return refuse(ReasonSystemCatalog, detail)
	case r.Persistence == 't':
		return refuse(ReasonTemporary, detail)
	case r.TemporaryChildren:
		return refuse(ReasonTemporary, "child of "+detail)
	case r.UnsafeColumn != "":
		return refuse(ReasonColumnType, detail+"."+r.UnsafeColumn)
	case r.Converts:
		return refuse(ReasonUnsafeCast, detail)
	}
	j.dependencies = append(j.dependencies, r.OID)
	if r.RowSecurity {
		j.secured = true
		if bypass := j.policies(r, detail); bypass != nil {
			return bypass
		}
	}
	switch r.Kind {
	case 'r', 'p':
		return j.relations(r.Children, detail)
	case 'm': // changes by REFRESH alone
		return nil
	case 'v':
		return j.view(r, detail)
	case 'f':
		return refuse(ReasonForeignTable, detail)
	}
	return refuse(ReasonRelationKind, detail)
}

func (j *judge) relations(oids []uint32, of string) *refusal {
	for _, oid := range oids {
		r := j.snapshot.ByOID(oid)
		if r == nil {
			return refuse(ReasonUnknownRelation, "under "+of)
		}
		if bypass := j.relation(r); bypass != nil {
			return bypass
		}
	}
	return nil
}

// view judges what a view is made of. Its definition was deparsed with an empty search path: what isn't
// qualified is in pg_catalog.
func (j *judge) view(r *catalog.Relation, detail string) *refusal {
	command, bypass := single(j.snapshot.ViewStatement(r, parser.Analyze))
	if bypass == nil {
		bypass = syntax(command)
	}
	if bypass == nil {
		_, bypass = j.command(command, []string{"pg_catalog"}, catalog.Temporary{})
	}
	if bypass == nil {
		bypass = j.relations(r.ViewReads, detail)
	}
	if bypass != nil && bypass.detail == "" {
		bypass.detail = "in view " + detail
	}
	return bypass
}

// policies judges what a relation's row security adds to queries of it. Which policies hold for whom follows from the user
// and definitions, so that all that restrict reading are judged.
func (j *judge) policies(r *catalog.Relation, detail string) *refusal {
	for i := range r.Policies {
		policy := &r.Policies[i]
		if !policy.Reads() || policy.Using == "" {
			continue
		}
		where := "in policy " + policy.Name + " on " + detail
		command, bypass := single(j.snapshot.PolicyStatement(r, policy.Using, parser.Analyze))
		if bypass != nil {
			return refuse(ReasonRowSecurity, where)
		}
		if bypass = syntax(command); bypass == nil {
			_, bypass = j.command(command, []string{"pg_catalog"}, catalog.Temporary{})
		}
		if bypass != nil {
			if bypass.detail == "" {
				bypass.detail = where
			}
			return bypass
		}
	}
	return j.relations(r.PolicyReads, detail)
}

func system(r *catalog.Relation) bool {
	return r.OID < catalog.FirstNormalObjectID || systemSchema(r.Schema)
}
