package cachepolicy

import (
	"slices"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/parser"
)

// calls judges what a command calls: functions, operators, casts. Names are resolved along schemas.
type calls struct {
	snapshot  *catalog.Snapshot
	schemas   []string
	temporary catalog.Temporary
	doubtful  bool // names may mean what they name in any of the schemas
	body      bool // the command is part of a function: parameters are its arguments, which come from anywhere
	judge     *judge

	settings []string // custom ones that are read
}

func (c *calls) command(command *parser.Command) *refusal {
	if bypass := c.readsSettings(command); bypass != nil {
		return bypass
	}
	for _, f := range command.Functions {
		if bypass := c.function(f); bypass != nil {
			return bypass
		}
	}
	for _, o := range command.Operators {
		if bypass := c.operator(o); bypass != nil {
			return bypass
		}
	}
	for i := range command.Casts {
		if bypass := c.cast(&command.Casts[i], command.Casts); bypass != nil {
			return bypass
		}
	}
	for _, attribute := range command.Attributes {
		if bypass := c.attribute(attribute); bypass != nil {
			return bypass
		}
	}
	return nil
}

// readsSettings judges calls of current_setting.
func (c *calls) readsSettings(command *parser.Command) *refusal {
	if len(command.SettingsRead) > 0 && c.typeNamed("text") != c.snapshot.Type(nil, "pg_catalog", "text") {
		return refuse(ReasonUnknownType, "text") // who knows what a constant that is cast to it says
	}
	for _, name := range command.SettingsRead {
		switch {
		case customSetting.MatchString(name):
			c.settings = append(c.settings, name)
		case !SettingInKey(name):
			return refuse(ReasonStable, "current_setting("+name+")")
		}
	}
	if command.SettingUnknown {
		return refuse(ReasonStable, "current_setting")
	}
	return nil
}

// typeNamed returns the type that an unqualified name means, nil when there is none or it may be a temporary one.
func (c *calls) typeNamed(name string) *catalog.Type {
	if c.temporary.Shadows(name) {
		return nil
	}
	for _, schema := range c.schemas {
		if t := c.snapshot.Type(nil, schema, name); c.doubtful && t != nil && schema != "pg_catalog" {
			return t
		}
	}
	return c.snapshot.Type(c.schemas, "", name)
}

// function judges a call: everything that it may mean must be safe, since which one PostgreSQL chooses depends on
// types that nobody knows here.
func (c *calls) function(f parser.Function) *refusal {
	if f.Args == 1 && !f.Named && !f.Variadic { // perhaps a cast: manual, section 4.2.9
		if t := c.snapshot.Type(c.schemas, f.Schema, f.Name); t != nil {
			if !f.Cast { // else it is among the casts
				if bypass := c.conversion(&parser.Cast{Schema: f.Schema, Type: f.Name}, nil); bypass != nil {
					return bypass
				}
			}
			if !slices.ContainsFunc(c.snapshot.Functions(c.schemas, f.Schema, f.Name), accepts(f)) {
				return nil
			}
		}
	}
	found := false
	for _, candidate := range c.snapshot.Functions(c.schemas, f.Schema, f.Name) {
		if !candidate.Accepts(f.Args, f.Variadic) {
			continue
		}
		found = true
		if bypass := c.candidate(candidate); bypass != nil {
			return bypass
		}
	}
	if !found {
		return refuse(ReasonUnknownFunction, f.Name)
	}
	return nil
}

func accepts(f parser.Function) func(*catalog.Function) bool {
	return func(candidate *catalog.Function) bool { return candidate.Accepts(f.Args, f.Variadic) }
}

func (c *calls) candidate(f *catalog.Function) *refusal {
	if f.Builtin {
		return judgeFunction(f)
	}
	if f.Converts {
		return refuse(ReasonUnsafeCast, f.Name)
	}
	return c.judge.userFunction(f)
}

func judgeFunction(f *catalog.Function) *refusal {
	switch {
	case f.Builtin && f.Name == zoned:
		return nil
	case f.Volatility == 'v' || f.Kind == 'p':
		return refuse(ReasonVolatile, f.Name)
	case f.Builtin && f.Volatility == 'i' && !immutableDenied(f.Name):
		return nil
	case f.Builtin && f.Volatility == 's' && stableAllowed[f.Name]:
		return nil
	case f.Harmless && extensionStable[f.Name]:
		return nil
	case f.Volatility != 'i' || f.Builtin || f.Harmless && f.Name == populateRecord:
		return refuse(ReasonStable, f.Name)
	case f.UnsafeResult:
		return refuse(ReasonUnknownType, f.Name)
	}
	return nil
}

func (c *calls) operator(o parser.Operator) *refusal {
	candidates := c.snapshot.Operators(c.schemas, o.Schema, o.Name)
	for _, candidate := range candidates {
		setting := extensionSettings[extensionOperator{candidate.Extension, o.Name}]
		switch {
		case candidate.Builtin:
		case candidate.Volatility != 'i' && setting == "", candidate.Extension == "hstore" && o.Name == populateOperator:
			return refuse(ReasonUnknownOperator, o.Name)
		case candidate.UnsafeResult:
			return refuse(ReasonUnknownType, o.Name)
		case candidate.Converts:
			return refuse(ReasonUnsafeCast, o.Name)
		}
		if setting != "" {
			c.settings = append(c.settings, setting)
		}
	}
	if len(candidates) == 0 {
		return refuse(ReasonUnknownOperator, o.Name)
	}
	return nil
}

// cast judges an explicit cast. The grammar's own names for types (int, timestamp) mean pg_catalog's, others are looked
// up along the path; where both exist, both must be safe. all are the casts of the command.
func (c *calls) cast(cast *parser.Cast, all []parser.Cast) *refusal {
	if !cast.Call && (temporarySchema(cast.Schema) || cast.Schema == "" && c.temporary.Shadows(cast.Type)) {
		return refuse(ReasonTemporary, cast.Type)
	}
	return c.conversion(cast, all)
}

// conversion judges a cast to a type that isn't a temporary one. Those are not found by a cast in function notation
// (func_get_detail in src/backend/parser/parse_func.c).
func (c *calls) conversion(cast *parser.Cast, all []parser.Cast) *refusal {
	types := []*catalog.Type{c.snapshot.Type(c.schemas, cast.Schema, cast.Type)}
	if cast.Schema == "" {
		types = append(types, c.snapshot.Type(nil, "pg_catalog", cast.Type))
		if c.doubtful {
			for _, schema := range c.schemas {
				types = append(types, c.snapshot.Type(nil, schema, cast.Type))
			}
		}
	}
	if !slices.ContainsFunc(types, func(t *catalog.Type) bool { return t != nil }) {
		return refuse(ReasonUnknownType, cast.Type)
	}
	for _, t := range types {
		switch {
		case t == nil:
		case !t.Safe:
			return refuse(ReasonUnknownType, cast.Type)
		case t.UnsafeCast, t.Converts:
			return refuse(ReasonUnsafeCast, cast.Type)
		case t.Time && !c.timeSource(cast, all):
			return refuse(ReasonTimeCast, cast.Type)
		}
	}
	return nil
}

// attribute judges a name after a dot: where no column has it, t.f calls f(t) (catalog.Snapshot.HiddenCalls).
func (c *calls) attribute(name string) *refusal {
	if _, hidden := slices.BinarySearch(c.snapshot.HiddenCalls, name); !hidden {
		return nil
	}
	for _, candidate := range c.snapshot.Functions(c.schemas, "", name) {
		if candidate.Accepts(1, false) {
			if bypass := c.candidate(candidate); bypass != nil {
				return bypass
			}
		}
	}
	return nil
}
