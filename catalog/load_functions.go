package catalog

// harmless is SQL that tells whether the function with this OID belongs to an extension whose functions, volatile
// ones too, write no table: without it the uuid of every new row would invalidate the database.
func harmless(oid string) string {
	return `EXISTS (
         SELECT FROM pg_depend h JOIN pg_extension e ON e.oid = h.refobjid
          WHERE h.classid = 'pg_proc'::regclass AND h.objid = ` + oid + ` AND h.refclassid = 'pg_extension'::regclass AND h.deptype = 'e'
            AND e.extname IN ('uuid-ossp', 'pgcrypto', 'pg_trgm', 'hstore', 'citext', 'unaccent', 'fuzzystrmatch', 'ltree', 'intarray',
                              'cube', 'earthdistance', 'isn', 'seg', 'btree_gin', 'btree_gist', 'vector', 'pg_stat_statements',
                              'moddatetime', 'insert_username', 'autoinc', 'tcn'))`
}

// functions reads pg_proc. The version of each row goes into the digest: a new body or new rights change it, those of built-in functions too.
func (l *loader) functions() error {
	l.results = make(map[*Function][]uint32)
	l.arguments = make(map[*Function]uint32)
	var f Function
	var volatility, kind, version string
	var result, first uint32
	var outputs []uint32
	return l.each(`
SELECT p.oid, n.nspname::text, p.proname::text, p.pronargs::int4, p.pronargdefaults::int4,
       p.provariadic <> 0,
       CASE WHEN p.prokind = 'a' AND p.oid >= `+firstNormal+` THEN (
         SELECT coalesce(max(x.provolatile::text), 'v') FROM pg_aggregate g JOIN pg_proc x ON x.oid IN (
           g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggserialfn, g.aggdeserialfn, g.aggmtransfn, g.aggminvtransfn, g.aggmfinalfn)
          WHERE g.aggfnoid = p.oid)
       ELSE p.provolatile::text END, p.prokind::text, p.prorettype,
       coalesce(p.proargtypes[0], 0::oid),
       ARRAY(SELECT t FROM unnest(p.proallargtypes, p.proargmodes) u (t, m) WHERE m IN ('o', 'b', 't')),
       EXISTS (SELECT FROM pg_aggregate g WHERE g.aggfnoid = p.oid AND g.aggkind <> 'n'),
       `+harmless("p.oid")+`,
       p.xmin::text
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 ORDER BY p.oid`,
		[]any{
			&f.OID, &f.Schema, &f.Name, &f.Args, &f.Defaults, &f.Variadic, &volatility, &kind, &result,
			&first, &outputs, &f.OrderedSet, &f.Harmless, &version,
		},
		func() {
			function := &Function{
				OID: f.OID, Schema: f.Schema, Name: f.Name, Args: f.Args, Defaults: f.Defaults,
				Variadic: f.Variadic, OrderedSet: f.OrderedSet, Harmless: f.Harmless, Volatility: volatility[0], Kind: kind[0],
				Builtin: f.OID < FirstNormalObjectID && f.Schema == systemSchema,
			}
			l.snapshot.functions[f.Name] = append(l.snapshot.functions[f.Name], function)
			if !function.Builtin {
				l.snapshot.byFunction[f.OID] = function
			}
			if function.Builtin && function.Volatility == 'i' {
				return
			}
			l.results[function] = append(outputs, result)
			outputs = nil
			if function.Args >= 1 && function.Args-function.Defaults <= 1 || function.Variadic && function.Args <= 2 {
				l.arguments[function] = first
			}
		})
}

func (l *loader) operators() error {
	var o Operator
	var volatility, version string
	var result, left, right uint32
	l.operands = make(map[*Operator][]uint32)
	return l.each(`
SELECT o.oid, n.nspname::text, o.oprname::text, coalesce(p.provolatile, 'v')::text, o.oprresult, o.oprleft, o.oprright,
       CASE WHEN o.oid >= `+firstNormal+` THEN coalesce((
         SELECT e.extname::text FROM pg_depend h JOIN pg_extension e ON e.oid = h.refobjid
          WHERE h.classid = 'pg_operator'::regclass AND h.objid = o.oid AND h.refclassid = 'pg_extension'::regclass AND h.deptype = 'e'
       ), '') ELSE '' END,
       CASE WHEN o.oid >= `+firstNormal+` THEN o.xmin::text ELSE '' END
  FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace LEFT JOIN pg_proc p ON p.oid = o.oprcode
 ORDER BY o.oid`,
		[]any{&o.OID, &o.Schema, &o.Name, &volatility, &result, &left, &right, &o.Extension, &version},
		func() {
			operator := &Operator{
				OID: o.OID, Schema: o.Schema, Name: o.Name, Volatility: volatility[0], Extension: o.Extension,
				Builtin: o.OID < FirstNormalObjectID && o.Schema == systemSchema,
			}
			if !operator.Builtin {
				l.operands[operator] = []uint32{result, left, right}
			}
			l.snapshot.operators[o.Name] = append(l.snapshot.operators[o.Name], operator)
		})
}

// casts reads the casts that users made. An explicit one with a function that isn't immutable spoils casts to its
// type, or from it where only that one is a user's; see Type.Converts for those that nothing has to name.
func (l *loader) casts() error {
	l.explicit, l.converts = make(map[uint32]bool), make(map[uint32]bool)
	var source, target, function uint32
	var context, method, volatility, version string
	return l.each(`
SELECT c.castsource, c.casttarget, c.castfunc, c.castcontext::text, c.castmethod::text, coalesce(p.provolatile, 'i')::text, c.xmin::text
  FROM pg_cast c LEFT JOIN pg_proc p ON p.oid = c.castfunc
 WHERE c.oid >= `+firstNormal+` ORDER BY c.castsource, c.casttarget`,
		[]any{&source, &target, &function, &context, &method, &volatility, &version},
		func() {
			if volatility == "v" {
				l.snapshot.VolatileCasts = append(l.snapshot.VolatileCasts, function)
			}
			pair := castPair{source, target}
			switch {
			case method == "i" && context != "e":
				l.inoutCasts = append(l.inoutCasts, pair)
			case volatility == "i":
			case context == "e" && target < FirstNormalObjectID && source >= FirstNormalObjectID:
				l.converts[source] = true
			case context == "e":
				l.explicit[target] = true
			default:
				l.unsafeCast(pair)
			}
		})
}

// versions returns a query for the number of rows of a catalog and a hash of their versions.
func versions(rows, key string) string {
	return "SELECT count(*)::text, coalesce(md5(string_agg(concat(" + key + ", ' ', r.xmin), ',' ORDER BY " + key + ")), ''), '', '' FROM " + rows
}

// others reads what has no place of its own in a snapshot, for the digest: schemas and their rights, enumerations' labels,
// text search configurations, collations, rules of views, event triggers. Versions of rows tell of what was changed and changed back, too.
func (l *loader) others() error {
	var a, b, c, d string
	for _, query := range []string{
		`SELECT oid::text, nspname::text, nspowner::text, coalesce(nspacl::text, '') || ' ' || xmin FROM pg_namespace
		  WHERE nspname !~ '^pg_(toast_)?temp_' ORDER BY oid`,
		`SELECT oid::text, enumtypid::text, enumlabel::text, enumsortorder || ' ' || xmin FROM pg_enum ORDER BY oid`,
		versions("pg_ts_config r", "r.oid"),
		versions("pg_ts_dict r", "r.oid"),
		versions("pg_ts_config_map r", "(r.mapcfg, r.maptokentype, r.mapseqno)"),
		versions("pg_collation r", "r.oid"),
		versions("pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class AND c.relpersistence <> 't'", "r.oid"),
		`SELECT oid::text, polrelid::text, xmin::text, '' FROM pg_policy ORDER BY oid`,
		`SELECT oid::text, conrelid::text, contypid::text, xmin::text FROM pg_constraint WHERE contype IN ('c', 'f') ORDER BY oid`,
		`SELECT datname::text, datdba::text, coalesce(datacl::text, ''), '' FROM pg_database WHERE datname = current_database()`,
	} {
		if err := l.each(query, []any{&a, &b, &c, &d}, func() {}); err != nil {
			return err
		}
	}
	var function uint32
	return l.each(`SELECT evtname::text, evtevent::text, evtfoid, evtenabled::text FROM pg_event_trigger ORDER BY oid`,
		[]any{&a, &b, &function, &d}, func() {
			switch {
			case d == "D":
			case b == "login":
				l.snapshot.LoginTriggers = append(l.snapshot.LoginTriggers, function)
			default:
				l.snapshot.EventTriggers = true
			}
		})
}
