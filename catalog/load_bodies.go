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
	return l.each(`
SELECT p.oid, CASE WHEN g.lanname IN ('sql', 'plpgsql') AND p.prokind IN ('f', 'p') THEN g.lanname::text ELSE '' END, `+standard+`,
       CASE WHEN g.lanname NOT IN ('sql', 'plpgsql') OR p.prokind NOT IN ('f', 'p') THEN ''
            WHEN `+standard+` THEN pg_get_functiondef(p.oid) ELSE p.prosrc END,
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
			function.Standard, function.DefaultValues, function.Definer, function.Settings = f.Standard, f.DefaultValues, f.Definer, f.Settings
			if source != nil {
				function.Language, function.Source = f.Language, *source
			}
			l.signatures[function] = types
			f.Settings, types = nil, nil
		})
}
