package parser

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// readsSetting notes a call of current_setting(name [, missing_ok]).
func (a *analysis) readsSetting(f *pg.FuncCall) {
	args := f.GetArgs()
	name, ok := "", len(args) == 1 || len(args) == 2
	if ok = ok && !f.GetFuncVariadic(); ok {
		name, ok = textConstant(args[0])
	}
	if !ok {
		a.command.SettingUnknown = true
		return
	}
	a.command.SettingsRead = add(a.command.SettingsRead, &a.settings, lowerASCII(name))
}

// textConstant reads a string constant, cast to text or not, as deparsed views have it.
func textConstant(n *pg.Node) (string, bool) {
	if cast := n.GetTypeCast(); cast != nil {
		if typ, ok := typeOf(cast.GetTypeName(), false); !ok || typ != "text" {
			return "", false
		}
		n = cast.GetArg()
	}
	s, ok := n.GetAConst().GetVal().(*pg.A_Const_Sval)
	if !ok {
		return "", false
	}
	return s.Sval.GetSval(), true
}

// lowerASCII folds as PostgreSQL folds the names of settings (guc_name_compare in src/backend/utils/misc/guc.c).
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}
