package catalog

import (
	"encoding/binary"
	"hash/maphash"
	"maps"
	"slices"
)

// views are the deparsed definitions of one load, for the next one to keep.
type views struct {
	seed  maphash.Seed
	names map[object]uint64 // hashes of the names of relations with their columns, and of types
	texts map[uint32]viewText
}

type object struct {
	catalogue string
	oid       uint32
}

type viewText struct {
	version string // of the row in pg_rewrite
	text    string
}

// definitions fills in what views and materialized views are made of.
//
// A text of the last load is kept where it would be the same: the rule is the same version of its row, and everything
// that had a name then has it still. What is new can't occur in an old text.
//
// A view that somebody has locked, as REFRESH does for hours, is left without a definition and counted in l.missing.
func (l *loader) definitions() error {
	versions := make(map[uint32]string)
	var oid uint32
	var version string
	err := l.scan(nil, `
SELECT r.ev_class, r.oid || ' ' || r.xmin || ' ' || r.ctid
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
 WHERE r.rulename = '_RETURN' AND c.relkind IN ('v', 'm') AND c.relpersistence <> 't' AND c.oid >= `+firstNormal,
		[]any{&oid, &version}, func() { versions[oid] = version })
	if err != nil {
		return err
	}
	l.views = &views{seed: maphash.MakeSeed(), texts: make(map[uint32]viewText, len(versions))}
	if l.last != nil {
		l.views.seed = l.last.seed
	}
	l.views.names = l.names(l.views.seed)
	keep := l.last != nil && l.last.named(l.views.names)
	var wanted []uint32
	for oid, version := range versions {
		if keep && l.last.texts[oid].version == version {
			l.views.texts[oid] = l.last.texts[oid]
		} else {
			wanted = append(wanted, oid)
		}
	}
	slices.Sort(wanted) // views of one schema are neighbours, and load the same relations
	err = l.deparse("SELECT o, pg_get_viewdef(o) FROM unnest(%s) o", wanted, func(oid uint32, texts [][]byte) {
		if texts[0] != nil {
			l.views.texts[oid] = viewText{versions[oid], string(texts[0])}
		}
	})
	if err != nil {
		return err
	}
	for _, oid := range slices.Sorted(maps.Keys(versions)) {
		text, found := l.views.texts[oid]
		if !found {
			l.missing++
		}
		if r := l.snapshot.byOID[oid]; r != nil {
			r.ViewDefinition = text.text
		}
		_ = binary.Write(l.digest, binary.BigEndian, oid)
		digest(l.digest, []byte(text.text))
	}
	return nil
}

// named tells whether all that had a name has the same one in a later load.
func (v *views) named(later map[object]uint64) bool {
	for object, name := range v.names {
		if later[object] != name {
			return false
		}
	}
	return true
}

// names returns hashes of the names that texts hold. Names of other objects change with their rows, see catalogue.apart.
func (l *loader) names(seed maphash.Seed) map[object]uint64 {
	names := make(map[object]uint64, len(l.snapshot.byOID)+len(l.rawTypes))
	var h maphash.Hash
	h.SetSeed(seed)
	put := func(name string) {
		_, _ = h.WriteString(name)
		_ = h.WriteByte(0) // no name holds one
	}
	for oid, r := range l.snapshot.byOID {
		h.Reset()
		put(r.Schema)
		put(r.Name)
		_ = h.WriteByte(r.Kind)
		for _, column := range l.attributes[oid] {
			put(column.name)
		}
		names[object{"pg_class", oid}] = h.Sum64()
	}
	for oid, t := range l.rawTypes {
		h.Reset()
		put(t.entry.Schema)
		put(t.entry.Name)
		names[object{"pg_type", oid}] = h.Sum64()
	}
	return names
}
