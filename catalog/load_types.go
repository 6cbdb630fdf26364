package catalog

import (
	"fmt"
	"slices"
)

// rawType is a row of pg_type with what decides whether it is safe.
type rawType struct {
	entry     *Type
	kind      byte   // typtype: b c d e m p r
	category  byte   // typcategory
	base      uint32 // typbasetype of a domain
	element   uint32 // typelem
	relation  uint32 // typrelid of a composite
	subtype   uint32 // of a range or multirange
	immutable bool   // input and output functions
	check     string // worst volatility of the user-made functions in a domain's checks
	state     byte   // of the safety's computation
}

func (r *rawType) builtin() bool { return r.entry.OID < FirstNormalObjectID }

// States of a type's judgement. A type that contains itself through a composite is judged by the rest of its parts.
const (
	unjudged = iota
	judging
	judged
)

// safeTypes are the scalar types of initdb whose values mean the same at any time under the same settings.
// Missing on purpose: reg* print names that depend on the search path and change with definitions; timetz takes
// the zone's offset of today; xid, cid, tid and snapshots tell of the server's state.
var safeTypes = map[string]bool{ //nolint:gochecknoglobals // constant
	"bool": true, "bytea": true, "char": true, "name": true, "int8": true, "int2": true, "int4": true,
	"text": true, "oid": true, "json": true, "jsonb": true, "jsonpath": true, "xml": true,
	"point": true, "lseg": true, "path": true, "box": true, "polygon": true, "line": true, "circle": true,
	"cidr": true, "inet": true, "macaddr": true, "macaddr8": true, "float4": true, "float8": true,
	"numeric": true, "money": true, "bpchar": true, "varchar": true, "date": true, "time": true,
	"timestamp": true, "timestamptz": true, "interval": true, "bit": true, "varbit": true, "uuid": true,
	"tsvector": true, "tsquery": true, "int2vector": true, "oidvector": true, "pg_lsn": true,
}

// timeTypes are the types whose input reads the clock for 'now', 'today' and the like (manual, section 8.5.1.4).
var timeTypes = map[string]bool{ //nolint:gochecknoglobals // constant
	"date": true, "time": true, "timetz": true, "timestamp": true, "timestamptz": true,
}

func (l *loader) types() error {
	l.rawTypes = make(map[uint32]*rawType)
	var t Type
	var r rawType
	var kind, category, version string
	err := l.each(`
SELECT t.oid, n.nspname::text, t.typname::text, t.typtype::text, t.typcategory::text, t.typbasetype, t.typelem, t.typrelid,
       coalesce(i.provolatile = 'i' AND o.provolatile = 'i', false),
       coalesce((
         SELECT max(p.provolatile::text) FROM pg_constraint k JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.objid = k.oid
           LEFT JOIN pg_operator x ON d.refclassid = 'pg_operator'::regclass AND x.oid = d.refobjid
           JOIN pg_proc p ON p.oid = CASE WHEN d.refclassid = 'pg_proc'::regclass THEN d.refobjid ELSE x.oprcode END
          WHERE t.typtype = 'd' AND k.contypid = t.oid
            AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)), 'i'),
       CASE WHEN t.typtype IN ('d', 'b') AND t.oid >= `+firstNormal+` THEN t.xmin::text ELSE '' END
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_proc i ON i.oid = t.typinput LEFT JOIN pg_proc o ON o.oid = t.typoutput
 WHERE n.nspname !~ '^pg_(toast_)?temp_' AND n.nspname <> 'pg_toast'
 ORDER BY t.oid`,
		[]any{
			&t.OID, &t.Schema, &t.Name, &kind, &category, &r.base, &r.element, &r.relation,
			&r.immutable, &r.check, &version,
		},
		func() {
			entry, raw := t, r
			raw.entry, raw.kind, raw.category = &entry, kind[0], category[0]
			l.rawTypes[t.OID] = &raw
			l.snapshot.types[name{t.Schema, t.Name}] = &entry
			l.snapshot.typeByOID[t.OID] = &entry
		})
	if err != nil {
		return err
	}
	multirange := "0::oid"
	if l.snapshot.ServerVersion >= 140000 {
		multirange = "rngmultitypid"
	}
	var typ, multi, subtype uint32
	return l.each(fmt.Sprintf("SELECT rngtypid, %s, rngsubtype FROM pg_range ORDER BY rngtypid", multirange),
		[]any{&typ, &multi, &subtype},
		func() {
			for _, oid := range []uint32{typ, multi} {
				if raw := l.rawTypes[oid]; raw != nil {
					raw.subtype = subtype
				}
			}
		})
}

// judge fills in what depends on several parts.
func (l *loader) judge() {
	for oid := range l.rawTypes {
		l.safe(oid)
	}
	for oid, raw := range l.rawTypes {
		raw.entry.Base = l.baseName(oid)
		raw.entry.Time = l.holds(oid, func(part *rawType) bool { return timeTypes[part.entry.Name] && part.builtin() })
		raw.entry.Volatile = l.holds(oid, func(part *rawType) bool { return part.check == "v" })
	}
	for oid, columns := range l.attributes {
		r := l.snapshot.byOID[oid]
		if r == nil {
			continue
		}
		r.ColumnTypes = make(map[string]string, len(columns))
		for _, column := range columns {
			r.ColumnTypes[column.name] = l.baseName(column.typ)
			if r.UnsafeColumn == "" && !l.safe(column.typ) {
				r.UnsafeColumn = column.name
			}
		}
	}
	for f, types := range l.results {
		f.UnsafeResult = slices.ContainsFunc(types, func(oid uint32) bool { return !l.safeResult(oid) })
	}
	for f, types := range l.signatures {
		f.VolatileTypes = slices.ContainsFunc(types, func(oid uint32) bool { return l.rawTypes[oid] != nil && l.rawTypes[oid].entry.Volatile })
		f.TimeTypes = slices.ContainsFunc(types, func(oid uint32) bool { return l.rawTypes[oid] != nil && l.rawTypes[oid].entry.Time })
	}
	for o, types := range l.operands {
		o.UnsafeResult = !l.safeResult(types[0])
	}
	for _, c := range l.inoutCasts {
		if !l.safe(c.source) || !l.safe(c.target) || l.category(c.target) == 'D' {
			l.unsafeCast(c)
		}
	}
	l.conversions()
	hidden := make(map[string]bool)
	for f, argument := range l.arguments {
		if l.takesRow(argument) && (f.Volatility != 'i' || f.UnsafeResult || f.Converts) {
			hidden[f.Name] = true
		}
	}
	for f := range hidden {
		l.snapshot.HiddenCalls = append(l.snapshot.HiddenCalls, f)
	}
	slices.Sort(l.snapshot.HiddenCalls)
}

// unsafeCast notes a cast that isn't immutable and may be where nothing names it.
func (l *loader) unsafeCast(c castPair) {
	for _, oid := range []uint32{c.target, c.source} {
		if oid >= FirstNormalObjectID {
			l.converts[oid] = true
			return
		}
	}
	l.snapshot.UnsafeCasts = true
}

// conversions fills in what is named Converts, and Type.UnsafeCast: a cast to a domain, an array or rows casts to the types in them.
func (l *loader) conversions() {
	if len(l.converts)+len(l.explicit) == 0 {
		return
	}
	converts := func(oid uint32) bool {
		return l.holds(oid, func(part *rawType) bool { return l.converts[part.entry.OID] })
	}
	for oid, raw := range l.rawTypes {
		raw.entry.Converts = converts(oid)
		raw.entry.UnsafeCast = l.holds(oid, func(part *rawType) bool { return l.explicit[part.entry.OID] })
		if r := l.snapshot.byOID[raw.relation]; r != nil && raw.kind == 'c' {
			r.Converts = raw.entry.Converts
		}
	}
	for f, types := range l.signatures {
		f.Converts = slices.ContainsFunc(types, converts)
	}
	for o, types := range l.operands {
		o.Converts = slices.ContainsFunc(types, converts)
	}
}

// safe tells whether values of a type may be cached, see Type.Safe.
func (l *loader) safe(oid uint32) bool {
	raw := l.rawTypes[oid]
	if raw == nil {
		return false
	}
	switch raw.state {
	case judging:
		return true // the outer call decides
	case judged:
		return raw.entry.Safe
	}
	raw.state = judging
	safe := l.judgeType(raw)
	raw.state, raw.entry.Safe = judged, safe
	return safe
}

func (l *loader) judgeType(raw *rawType) bool {
	builtin := raw.builtin()
	switch raw.kind {
	case 'b':
		switch {
		case builtin && safeTypes[raw.entry.Name]:
			return true
		case raw.category == 'A' && raw.element != 0:
			return l.safe(raw.element)
		}
		return !builtin && raw.immutable
	case 'd':
		return raw.check == "i" && l.safe(raw.base)
	case 'e':
		return true
	case 'r', 'm':
		return l.safe(raw.subtype)
	case 'c':
		columns, known := l.attributes[raw.relation]
		return known && !slices.ContainsFunc(columns, func(c attribute) bool { return !l.safe(c.typ) })
	}
	return false
}

// holds tells whether is holds for the type or for a type that its values hold.
func (l *loader) holds(oid uint32, is func(*rawType) bool) bool {
	raw := l.rawTypes[oid]
	switch {
	case raw == nil:
		return false
	case is(raw):
		return true
	case raw.base != 0:
		return l.holds(raw.base, is)
	case raw.subtype != 0:
		return l.holds(raw.subtype, is)
	case raw.kind == 'b' && raw.category == 'A' && raw.element != 0:
		return l.holds(raw.element, is)
	case raw.kind == 'c':
		return slices.ContainsFunc(l.attributes[raw.relation], func(c attribute) bool { return l.holds(c.typ, is) })
	}
	return false
}

// safeResult is safe for a function's result: pseudo-types are only as unsafe as the arguments that they
// take their form from, and those are judged where they come from.
func (l *loader) safeResult(oid uint32) bool {
	raw := l.rawTypes[oid]
	return raw != nil && (raw.kind == 'p' || l.safe(oid))
}

// takesRow tells whether an argument of this type accepts a row of some table.
func (l *loader) takesRow(oid uint32) bool {
	raw := l.rawTypes[oid]
	if raw == nil {
		return false
	}
	switch raw.kind {
	case 'c':
		return true
	case 'd':
		return l.takesRow(raw.base)
	case 'p':
		switch raw.entry.Name {
		case "record", "any", "anyelement", "anynonarray", "anycompatible", "anycompatiblenonarray":
			return true
		}
	}
	return false
}

func (l *loader) category(oid uint32) byte {
	if raw := l.rawTypes[oid]; raw != nil {
		return raw.category
	}
	return 0
}

// baseName is the name of the type behind domains and arrays, qualified unless initdb made it: a user's
// type may have the name of another.
func (l *loader) baseName(oid uint32) string {
	for {
		raw := l.rawTypes[oid]
		switch {
		case raw == nil:
			return ""
		case raw.kind == 'd' && raw.base != 0:
			oid = raw.base
		case raw.kind == 'b' && raw.category == 'A' && raw.element != 0:
			oid = raw.element
		case !raw.builtin():
			return raw.entry.Schema + "." + raw.entry.Name
		default:
			return raw.entry.Name
		}
	}
}
