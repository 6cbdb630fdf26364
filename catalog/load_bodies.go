package catalog

// bodies reads what the functions and procedures of users are made of, as far as somebody can read it here: SQL and PL/pgSQL.
// The server writes definitions with an empty search path, so that what isn't qualified is in pg_catalog.
func (l *loader) bodies() error {
	l.signatures = make(map[*Function][]uint32)
	standard := "false"
	if l.snapshot.ServerVersion >= 140000 {
		standard = "p.prosqlbody IS NOT NULL"
	}
	var oid uint32
	var f Function
	var source *string
	var types []uint32
	var standards []uint32 // whose bodies have to be deparsed
	err := l.each(`
SELECT p.oid, CASE WHEN g.lanname IN ('sql', 'plpgsql') AND p.prokind IN ('f', 'p') THEN g.lanname::text ELSE '' END, `+standard+`,
       CASE WHEN g.lanname NOT IN ('sql', 'plpgsql') OR p.prokind NOT IN ('f', 'p') THEN ''
            WHEN `+standard+` THEN NULL ELSE p.prosrc END,
       coalesce(pg_get_expr(p.proargdefaults, 0), ''), p.prosecdef, coalesce(p.proconfig, '{}'),
       ARRAY(SELECT unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]) || p.prorettype))
  FROM pg_proc p JOIN pg_language g ON g.oid = p.prolang
 WHERE p.oid >= `+firstNormal+` ORDER BY p.oid`,
		[]any{&oid, &f.Language, &f.Standard, &source, &f.DefaultValues, &f.Definer, &f.Settings, &types},
		func() {
			function := l.snapshot.byFunction[oid]
			if function == nil {
				return
			}
			function.DefaultValues, function.Definer, function.Settings = f.DefaultValues, f.Definer, f.Settings
			if source != nil {
				function.Language, function.Source = f.Language, *source
			} else {
				standards = append(standards, oid)
			}
			l.signatures[function] = types
			f.Settings, types = nil, nil
		})
	if err != nil {
		return err
	}
	return l.standardBodies(standards)
}

// standardBodies fills in the bodies of functions in SQL that are parsed when they are defined. Where the server does not show one, the
// function has no language, which nobody can read.
func (l *loader) standardBodies(wanted []uint32) error {
	err := l.deparse("SELECT o, pg_get_functiondef(o) FROM unnest(%s) o", wanted, func(oid uint32, texts [][]byte) {
		if texts[0] != nil {
			function := l.snapshot.byFunction[oid]
			function.Language, function.Standard, function.Source = "sql", true, string(texts[0])
		}
	})
	for _, oid := range wanted {
		function := l.snapshot.byFunction[oid]
		if !function.Standard {
			l.missing++
		}
		digest(l.digest, []byte(function.Source))
	}
	return err
}
