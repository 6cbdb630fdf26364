package cachepolicy

import (
	"slices"
	"strings"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/parser"
)

// userFunction judges a function that a user made, and adds what it reads to the dependencies. Where its doings are declared, that
// counts; else its body must show that its answer depends on nothing but its arguments, what keys hold, and relations.
func (j *judge) userFunction(f *catalog.Function) *refusal {
	if d := j.declared.Function(f); d != nil && f.Kind == 'f' && len(d.Writes) == 0 && (d.Cache || f.Volatility != 'v' && len(d.Reads) > 0) {
		if f.UnsafeResult {
			return refuse(ReasonUnknownType, f.Name)
		}
		return j.declaredReads(f, d)
	}
	bypass := judgeFunction(f)
	switch {
	case bypass == nil: // IMMUTABLE: what its body says is welcome, if it says anything
		j.function(f)
		return nil
	case bypass.reason != ReasonStable || f.Kind != 'f':
		return bypass
	case f.UnsafeResult:
		return refuse(ReasonUnknownType, f.Name)
	}
	if why := j.function(f); why != nil {
		bypass.detail = f.Name + ": " + strings.TrimSuffix(string(why.reason)+" "+why.detail, " ")
		return bypass
	}
	return nil
}

func (j *judge) declaredReads(f *catalog.Function, d *catalog.FunctionDeclaration) *refusal {
	relations, ok := j.snapshot.Matching(d.Reads)
	if !ok {
		return refuse(ReasonUnknownRelation, "declared to be read by "+f.Name)
	}
	inner := &judge{
		snapshot: j.snapshot, database: j.database, declared: j.declared, session: j.session, temporary: j.temporary,
		seen: make(map[uint32]bool), functions: j.functions,
	}
	for _, r := range relations {
		if bypass := inner.relation(r); bypass != nil {
			return bypass
		}
	}
	if inner.secured {
		return plansOutlive(f)
	}
	j.dependencies = append(j.dependencies, inner.dependencies...)
	j.settings = append(j.settings, inner.settings...)
	return nil
}

// plansOutlive refuses a function that reads under row security: its plans live as long as the session, and PostgreSQL does not make them
// anew when roles change (Decision.RowSecurity). Nobody sees how old they are.
func plansOutlive(f *catalog.Function) *refusal {
	return refuse(ReasonRowSecurity, "in function "+f.Name)
}

// running is a function with the path that it is called under.
type running struct {
	function uint32
	path     string
}

// functionReads is what a function reads, or why that isn't certain.
type functionReads struct {
	relations []uint32
	settings  []string
	bypass    *refusal
}

// function judges what a function is made of. Only if it is found good something is added to what the answer depends on.
func (j *judge) function(f *catalog.Function) *refusal {
	key := running{f.OID, strings.Join(j.session.Schemas, "\x00")}
	reads := j.functions[key]
	if reads == nil {
		reads = &functionReads{} // a function that calls itself reads nothing new
		j.functions[key] = reads
		inner := &judge{
			snapshot: j.snapshot, database: j.database, declared: j.declared, temporary: j.temporary,
			seen: make(map[uint32]bool), functions: j.functions,
		}
		reads.bypass = inner.judgeBody(f, j.session)
		reads.relations, reads.settings = inner.dependencies, inner.settings
		if reads.bypass == nil && inner.secured {
			reads.bypass = plansOutlive(f)
		}
	}
	if reads.bypass != nil {
		return reads.bypass
	}
	j.dependencies = append(j.dependencies, reads.relations...)
	j.settings = append(j.settings, reads.settings...)
	return nil
}

// judgeBody judges a function that is called under a path.
func (j *judge) judgeBody(f *catalog.Function, caller catalog.SearchPath) *refusal {
	path, ok := j.snapshot.PathIn(f, caller)
	j.session = path
	body := j.snapshot.Body(f)
	switch {
	case !ok:
		return refuse(ReasonStable, "sets standard_conforming_strings")
	case body.Err != nil:
		return refuse(ReasonStable, strings.TrimPrefix(body.Err.Error(), "parser: "))
	case f.VolatileTypes:
		return refuse(ReasonVolatile, "in a domain")
	case body.Cursor || body.Opens || body.Ends || body.Notices:
		return refuse(ReasonUnsupported, "cursors, messages or transaction control")
	}
	qualified := catalog.SearchPath{Schemas: []string{"pg_catalog"}}
	bypass := j.variables(f, body)
	if bypass == nil && f.DefaultValues != "" {
		bypass = j.body(j.snapshot.DefaultsOf(f), qualified, catalog.Temporary{})
	}
	switch {
	case bypass != nil:
		return bypass
	case f.Standard:
		return j.body(body, qualified, catalog.Temporary{})
	}
	return j.body(body, path, j.temporary)
}

// variables judges the types of a PL/pgSQL function's variables: assignment converts a text by the input function of the variable's
// type, and 'today' is another date each day. The types were looked for when a session ran the function first, under whatever path.
func (j *judge) variables(f *catalog.Function, body *parser.Body) *refusal {
	if f.Language != "plpgsql" {
		return nil
	}
	if f.TimeTypes {
		return refuse(ReasonTimeCast, "in its arguments or result")
	}
	anywhere := calls{snapshot: j.snapshot, schemas: j.snapshot.Schemas(), doubtful: true, temporary: j.temporary, body: true, judge: j}
	for _, t := range body.Types {
		t.Source = parser.CastOther // anything may be assigned
		if bypass := anywhere.cast(&t, nil); bypass != nil {
			return bypass
		}
	}
	for _, name := range body.Rows {
		relations, bypass := j.resolveAll(name, j.snapshot.Anywhere(), j.temporary)
		if bypass != nil {
			return bypass
		}
		for _, r := range relations {
			if r.UnsafeColumn != "" || len(r.VolatileFunctions) > 0 {
				return refuse(ReasonColumnType, r.Name)
			}
			if r.Converts {
				return refuse(ReasonUnsafeCast, r.Name)
			}
			for _, base := range r.ColumnTypes {
				if t := j.snapshot.Type(nil, "pg_catalog", base); t != nil && t.Time {
					return refuse(ReasonTimeCast, "in a row of "+r.Name)
				}
			}
		}
	}
	return nil
}

// body judges the commands of a body, whose names are looked up along the path.
func (j *judge) body(b *parser.Body, path catalog.SearchPath, temporary catalog.Temporary) *refusal {
	if b.Err != nil {
		return refuse(ReasonStable, strings.TrimPrefix(b.Err.Error(), "parser: "))
	}
	if j.snapshot.UnsafeCasts {
		return refuse(ReasonUnsafeCast, "")
	}
	for i := range b.Commands {
		command := &b.Commands[i]
		if bypass := syntax(command); bypass != nil {
			return bypass
		}
		for _, read := range command.Reads {
			relations, bypass := j.resolveAll(read, path, temporary)
			if bypass != nil {
				return bypass
			}
			for _, r := range relations {
				if bypass := j.relation(r); bypass != nil {
					return bypass
				}
			}
		}
		c := calls{snapshot: j.snapshot, schemas: withSystem(path.Schemas), doubtful: path.Doubtful, temporary: temporary, body: true, judge: j}
		bypass := c.command(command)
		j.settings = append(j.settings, c.settings...)
		if bypass != nil {
			return bypass
		}
	}
	return nil
}

// resolveAll finds the relations that a name may mean.
func (j *judge) resolveAll(name parser.Relation, path catalog.SearchPath, temporary catalog.Temporary) ([]*catalog.Relation, *refusal) {
	r, bypass := j.resolve(name, path.Schemas, temporary)
	if bypass != nil || !path.Doubtful || name.Schema != "" {
		return []*catalog.Relation{r}, bypass
	}
	var relations []*catalog.Relation
	for _, schema := range path.Schemas {
		if r := j.snapshot.Relation(schema, name.Name); r != nil {
			relations = append(relations, r)
		}
	}
	// Those of information_schema are in hardly anybody's path, and have common names.
	if users := slices.DeleteFunc(slices.Clone(relations), system); len(users) > 0 && j.snapshot.Relation("pg_catalog", name.Name) == nil {
		return users, nil
	}
	return relations, nil
}
