package parser

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// transaction reads transaction control.
func (a *analysis) transaction(s *pg.TransactionStmt) {
	c := a.command
	c.Chain = s.GetChain()
	switch s.GetKind() {
	case pg.TransactionStmtKind_TRANS_STMT_BEGIN:
		c.Kind, c.Tag = KindBegin, "BEGIN"
		c.Isolation = isolation(s.GetOptions())
	case pg.TransactionStmtKind_TRANS_STMT_START:
		c.Kind, c.Tag = KindBegin, "START TRANSACTION"
		c.Isolation = isolation(s.GetOptions())
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT:
		c.Kind, c.Tag = KindCommit, "COMMIT"
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK:
		c.Kind, c.Tag = KindRollback, "ROLLBACK"
	case pg.TransactionStmtKind_TRANS_STMT_SAVEPOINT:
		c.Kind, c.Tag = KindSavepoint, "SAVEPOINT"
	case pg.TransactionStmtKind_TRANS_STMT_RELEASE:
		c.Kind, c.Tag = KindSavepoint, "RELEASE"
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO:
		c.Kind, c.Tag = KindRollbackTo, "ROLLBACK TO"
	case pg.TransactionStmtKind_TRANS_STMT_PREPARE:
		c.Kind, c.Tag = KindPrepareTransaction, "PREPARE TRANSACTION"
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT_PREPARED:
		c.Kind, c.Tag = KindFinishPrepared, "COMMIT PREPARED"
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_PREPARED:
		c.Kind, c.Tag = KindFinishPrepared, "ROLLBACK PREPARED"
	}
}

// isolation returns the isolation level among transaction modes; the last one counts.
func isolation(modes []*pg.Node) (level string) {
	for _, n := range modes {
		if d := n.GetDefElem(); d.GetDefname() == "transaction_isolation" {
			level = strings.ToLower(d.GetArg().GetAConst().GetSval().GetSval())
		}
	}
	return level
}

// set reads SET and RESET. The grammar turns SET ROLE, SET TIME ZONE, SET NAMES and the like into settings.
func (a *analysis) set(s *pg.VariableSetStmt) {
	c := a.command
	c.Kind, c.Tag = KindSet, "SET"
	c.Setting, c.SettingLocal = strings.ToLower(s.GetName()), s.GetIsLocal()
	switch s.GetKind() {
	case pg.VariableSetKind_VAR_SET_MULTI: // TRANSACTION, SESSION CHARACTERISTICS, TRANSACTION SNAPSHOT
		c.Tag, c.Setting, c.Isolation = "SET "+s.GetName(), "", isolation(s.GetArgs())
	case pg.VariableSetKind_VAR_SET_DEFAULT:
		c.SettingDefault = true
	case pg.VariableSetKind_VAR_RESET, pg.VariableSetKind_VAR_RESET_ALL:
		c.Tag, c.SettingDefault = "RESET", true
	default:
		c.SettingValue = settingValue(s.GetArgs())
	}
}

// settingValue joins the values of SET as flatten_set_variable_args does, without its quotes; "" where one
// is not a plain constant.
func settingValue(args []*pg.Node) string {
	values := make([]string, 0, len(args))
	for _, n := range args {
		switch v := n.GetAConst().GetVal().(type) {
		case *pg.A_Const_Sval:
			values = append(values, v.Sval.GetSval())
		case *pg.A_Const_Ival:
			values = append(values, strconv.Itoa(int(v.Ival.GetIval())))
		case *pg.A_Const_Fval:
			values = append(values, v.Fval.GetFval())
		default:
			return ""
		}
	}
	return strings.Join(values, ", ")
}
