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

// settingCalls returns the calls of a query that is nothing but SELECT set_config('name', value, local), ..., nil for any
// other. What the values are, the server's answer tells.
func settingCalls(s *pg.SelectStmt) []SettingCall {
	if s.GetWithClause() != nil || s.GetOp() != pg.SetOperation_SETOP_NONE || s.GetIntoClause() != nil || s.GetWhereClause() != nil || s.GetHavingClause() != nil ||
		s.GetLimitCount() != nil || s.GetLimitOffset() != nil ||
		len(s.GetFromClause())+len(s.GetGroupClause())+len(s.GetDistinctClause())+len(s.GetSortClause())+len(s.GetLockingClause())+len(s.GetValuesLists())+
			len(s.GetWindowClause()) > 0 {
		return nil
	}
	calls := make([]SettingCall, 0, len(s.GetTargetList()))
	for _, target := range s.GetTargetList() {
		call, ok := settingCall(target.GetResTarget().GetVal().GetFuncCall())
		if !ok {
			return nil
		}
		calls = append(calls, call)
	}
	return calls
}

func settingCall(f *pg.FuncCall) (SettingCall, bool) {
	names, args := f.GetFuncname(), f.GetArgs()
	if len(args) != 3 || len(names) == 0 || len(names) > 2 || f.GetFuncVariadic() || f.GetAggDistinct() || f.GetAggStar() || f.GetAggFilter() != nil || f.GetOver() != nil ||
		len(f.GetAggOrder()) > 0 || names[len(names)-1].GetString_().GetSval() != "set_config" || len(names) == 2 && names[0].GetString_().GetSval() != "pg_catalog" {
		return SettingCall{}, false
	}
	name, ok := textConstant(args[0])
	local, constant := args[2].GetAConst().GetVal().(*pg.A_Const_Boolval)
	if !ok || !constant || !simpleValue(args[1]) {
		return SettingCall{}, false
	}
	return SettingCall{Setting: lowerASCII(name), Local: local.Boolval.GetBoolval()}, true
}

// simpleValue tells whether a value is a constant or a parameter, cast to text or not: it calls nothing.
func simpleValue(n *pg.Node) bool {
	if cast := n.GetTypeCast(); cast != nil {
		if typ, ok := typeOf(cast.GetTypeName(), false); !ok || typ != "text" && typ != "varchar" {
			return false
		}
		n = cast.GetArg()
	}
	return n.GetAConst() != nil || n.GetParamRef() != nil
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
