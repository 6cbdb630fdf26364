package catalog

import (
	"slices"
	"strconv"
)

// firstNormal is FirstNormalObjectID in SQL.
const firstNormal = "16384"

// versionOfRelation is what an update of the row c of pg_class changes, with the joins of relations: a right that was given and taken back
// leaves no other trace. The row that TRUNCATE, VACUUM FULL or CLUSTER wrote has none, or each of them would look like a change of rights: in the same
// transaction they replace the storage of the table, and of its TOAST table and indexes. REFRESH, with and without CONCURRENTLY, and what sequences
// do to themselves can't be told apart so: of those the state alone counts. ANALYZE, VACUUM and CREATE INDEX change a table's row in place.
const versionOfRelation = `CASE WHEN c.oid < ` + firstNormal + ` OR c.relkind IN ('m', 'S') OR c.relfilenode NOT IN (0, c.oid) AND (t.xmin = c.xmin OR i.indrelid IS NOT NULL)
       THEN '' ELSE c.xmin::text END`

// relations reads pg_class without indexes, TOAST tables and temporary relations, which belong to one
// session. Owner, rights and what a view's options say of rights are there for the digest alone: hits must not outlive a right.
func (l *loader) relations() error {
	var r Relation
	var kind, persistence string
	var owner uint32
	var rights, options *string
	var forced bool
	var version string
	return l.each(`
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence::text,
       c.relrowsecurity, c.relowner, c.relacl::text, c.relforcerowsecurity, CASE WHEN c.relkind = 'v' THEN c.reloptions::text END,
       `+versionOfRelation+`
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
  LEFT JOIN (SELECT DISTINCT x.indrelid, y.xmin AS version FROM pg_index x JOIN pg_class y ON y.oid = x.indexrelid WHERE y.relfilenode <> y.oid) i
    ON i.indrelid = c.oid AND i.version = c.xmin
 WHERE c.relkind NOT IN ('i', 'I', 't') AND c.relpersistence <> 't'
 ORDER BY c.oid`,
		[]any{&r.OID, &r.Schema, &r.Name, &kind, &persistence, &r.RowSecurity, &owner, &rights, &forced, &options, &version},
		func() {
			relation := &Relation{
				OID: r.OID, Schema: r.Schema, Name: r.Name,
				Kind: kind[0], Persistence: persistence[0], RowSecurity: r.RowSecurity,
			}
			l.snapshot.relations[name{r.Schema, r.Name}] = relation
			l.snapshot.byOID[r.OID] = relation
		})
}

// columns reads pg_attribute. The system's own relations are never cached, so their columns don't matter.
// There are many: rows are taken as they come, and each name is kept once.
func (l *loader) columns() error {
	l.attributes = make(map[uint32][]attribute)
	names := make(map[string]string)
	return l.raw(l.digest, `
SELECT a.attrelid, a.atttypid, a.attname, a.attnum, a.atttypmod, a.attcollation, a.attacl, a.xmin
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.oid >= `+firstNormal+`
   AND c.relkind NOT IN ('i', 'I', 't', 'S') AND c.relpersistence <> 't'
 ORDER BY a.attrelid, a.attnum`, func(values [][]byte) error {
		relation, err := parseOID(values[0])
		if err != nil {
			return err
		}
		typ, err := parseOID(values[1])
		if err != nil {
			return err
		}
		column, known := names[string(values[2])]
		if !known {
			column = string(values[2])
			names[column] = column
		}
		l.attributes[relation] = append(l.attributes[relation], attribute{column, typ})
		return nil
	})
}

func parseOID(value []byte) (uint32, error) {
	oid, err := strconv.ParseUint(string(value), 10, 32)
	return uint32(oid), err
}

// inheritance reads partitions and inheriting tables; a partition that is being detached still counts.
func (l *loader) inheritance() error {
	var child, parent uint32
	var temporary bool
	return l.each(`
SELECT i.inhrelid, i.inhparent, c.relpersistence = 't'
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid ORDER BY i.inhrelid, i.inhseqno`,
		[]any{&child, &parent, &temporary},
		func() {
			c, p := l.snapshot.byOID[child], l.snapshot.byOID[parent]
			if p != nil && temporary {
				p.TemporaryChildren = true
			}
			if c == nil || p == nil { // indexes, temporary tables
				return
			}
			c.Parents = append(c.Parents, parent)
			p.Children = append(p.Children, child)
		})
}

// rules reads pg_rewrite: user-made rules, and which relations a view's rule names. Dependencies on
// the system's relations aren't recorded in pg_depend; the view's definition tells of those.
func (l *loader) rules() error {
	var oid uint32
	var enabled string
	var version string
	err := l.each(`
SELECT ev_class, ev_enabled::text, xmin::text
  FROM pg_rewrite WHERE rulename <> '_RETURN' AND oid >= `+firstNormal+` ORDER BY oid`,
		[]any{&oid, &enabled, &version},
		func() {
			if r := l.snapshot.byOID[oid]; r != nil && enabled != "D" {
				r.Rules = true
			}
		})
	if err != nil {
		return err
	}
	var read uint32
	return l.each(`
SELECT DISTINCT r.ev_class, d.refobjid
  FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class c ON c.oid = r.ev_class
 WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
   AND d.refobjid <> r.ev_class AND r.rulename = '_RETURN' AND c.relkind IN ('v', 'm')
 ORDER BY 1, 2`,
		[]any{&oid, &read},
		func() {
			if r := l.snapshot.byOID[oid]; r != nil {
				r.ViewReads = append(r.ViewReads, read)
			}
		})
}

// Bits of pg_trigger.tgtype (catalog/pg_trigger.h).
const (
	triggerInsert   = 1 << 2
	triggerDelete   = 1 << 3
	triggerUpdate   = 1 << 4
	triggerTruncate = 1 << 5
	triggerInstead  = 1 << 6
)

// triggers reads the enabled triggers that users made. Up to version 14 the copies of a partitioned table's
// trigger on its partitions are marked internal, as those of foreign keys are; but only they call user-made functions.
func (l *loader) triggers() error {
	var oid, function uint32
	var trigger string
	var kind int32
	var deferrable bool
	var condition *string
	var transitions []string
	var version string
	return l.each(`
SELECT tgrelid, tgname::text, tgfoid, tgtype::int4, tgdeferrable, CASE WHEN tgqual IS NOT NULL THEN pg_get_triggerdef(oid) END,
       array_remove(ARRAY[tgoldtable::text, tgnewtable::text], NULL), xmin::text
  FROM pg_trigger
 WHERE tgenabled <> 'D' AND (NOT tgisinternal OR tgfoid >= `+firstNormal+`)
 ORDER BY tgrelid, tgname, oid`,
		[]any{&oid, &trigger, &function, &kind, &deferrable, &condition, &transitions, &version},
		func() {
			r := l.snapshot.byOID[oid]
			if r == nil {
				return
			}
			t := Trigger{
				Name: trigger, Function: function,
				Insert: kind&triggerInsert != 0, Update: kind&triggerUpdate != 0,
				Delete: kind&triggerDelete != 0, Truncate: kind&triggerTruncate != 0,
				InsteadOf: kind&triggerInstead != 0, Deferrable: deferrable, Transitions: transitions,
			}
			transitions = nil
			if condition != nil {
				t.Condition = *condition
			}
			r.Triggers = append(r.Triggers, t)
		})
}

func (l *loader) foreignKeys() error {
	var referenced, referencing uint32
	var onUpdate, onDelete string
	return l.each(`
SELECT confrelid, conrelid, confupdtype::text, confdeltype::text
  FROM pg_constraint WHERE contype = 'f' ORDER BY confrelid, conrelid, oid`,
		[]any{&referenced, &referencing, &onUpdate, &onDelete},
		func() {
			r := l.snapshot.byOID[referenced]
			key := ForeignKey{Referencing: referencing, OnUpdate: onUpdate[0], OnDelete: onDelete[0]}
			if r != nil && !slices.Contains(r.ReferencedBy, key) {
				r.ReferencedBy = append(r.ReferencedBy, key)
			}
		})
}

// expressions finds relations whose defaults, generated columns, checks, policies, index expressions or columns'
// domains call volatile functions. pg_depend holds no row for functions of initdb, so only others are found.
func (l *loader) expressions() error {
	var oid, function uint32
	return l.each(`
WITH expression (relation, classid, objid) AS (
  SELECT adrelid, 'pg_attrdef'::regclass::oid, oid FROM pg_attrdef
  UNION ALL SELECT conrelid, 'pg_constraint'::regclass, oid FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0
  UNION ALL SELECT polrelid, 'pg_policy'::regclass, oid FROM pg_policy
  UNION ALL SELECT indrelid, 'pg_class'::regclass, indexrelid FROM pg_index
  UNION ALL SELECT a.attrelid, 'pg_constraint'::regclass, k.oid
    FROM pg_attribute a JOIN pg_constraint k ON k.contypid = a.atttypid
   WHERE a.attnum > 0 AND NOT a.attisdropped
  UNION ALL SELECT a.attrelid, 'pg_type'::regclass, a.atttypid
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
   WHERE a.attnum > 0 AND NOT a.attisdropped AND t.typtype = 'd' AND t.typdefaultbin IS NOT NULL
)
SELECT DISTINCT e.relation, p.oid
  FROM expression e JOIN pg_depend d ON d.classid = e.classid AND d.objid = e.objid
  LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
  JOIN pg_proc p ON p.oid = CASE WHEN d.refclassid = 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode END
 WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)
   AND p.provolatile = 'v' AND p.oid >= `+firstNormal+` AND NOT `+harmless("p.oid")+`
 ORDER BY 1, 2`,
		[]any{&oid, &function},
		func() {
			if r := l.snapshot.byOID[oid]; r != nil {
				r.VolatileFunctions = append(r.VolatileFunctions, function)
			}
		})
}
