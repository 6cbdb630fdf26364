package parser

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// statement fills the command in. Commands that are not named here or in definition are KindUnknown.
func (a *analysis) statement(node *pg.Node) {
	c := a.command
	switch n := node.GetNode().(type) {
	case *pg.Node_SelectStmt:
		a.selectCommand(n.SelectStmt)
	case *pg.Node_InsertStmt:
		a.writeCommand("INSERT", n)
	case *pg.Node_UpdateStmt:
		a.writeCommand("UPDATE", n)
	case *pg.Node_DeleteStmt:
		a.writeCommand("DELETE", n)
	case *pg.Node_MergeStmt:
		a.writeCommand("MERGE", n)
	case *pg.Node_TruncateStmt:
		c.Kind, c.Tag = KindWrite, "TRUNCATE"
		for _, r := range n.TruncateStmt.GetRelations() {
			a.write(r.GetRangeVar(), OpTruncate, n.TruncateStmt.GetBehavior() == pg.DropBehavior_DROP_CASCADE)
		}
	case *pg.Node_RefreshMatViewStmt:
		c.Kind, c.Tag = KindWrite, "REFRESH MATERIALIZED VIEW"
		a.write(n.RefreshMatViewStmt.GetRelation(), OpRefresh, false)
	case *pg.Node_CopyStmt:
		a.copyCommand(n.CopyStmt)
	case *pg.Node_ExplainStmt:
		a.explain(n.ExplainStmt)
	case *pg.Node_DeclareCursorStmt: // its functions run at FETCH, in this transaction or, WITH HOLD, at its end
		a.statement(n.DeclareCursorStmt.GetQuery())
		a.wrap("DECLARE CURSOR")
	case *pg.Node_CreateTableAsStmt:
		a.createTableAs(n.CreateTableAsStmt)
	case *pg.Node_TransactionStmt:
		a.transaction(n.TransactionStmt)
	case *pg.Node_VariableSetStmt:
		a.set(n.VariableSetStmt)
	case *pg.Node_ConstraintsSetStmt:
		c.Kind, c.Tag = KindSet, "SET CONSTRAINTS"
	case *pg.Node_DiscardStmt:
		c.Kind, c.Tag = KindDiscard, "DISCARD "+strings.TrimPrefix(n.DiscardStmt.GetTarget().String(), "DISCARD_")
	case *pg.Node_PrepareStmt:
		a.statement(n.PrepareStmt.GetQuery())
		c.Inner, c.Kind, c.Tag, c.StatementName = c.Kind, KindPrepare, "PREPARE", n.PrepareStmt.GetName()
	case *pg.Node_ExecuteStmt:
		c.Kind, c.Tag, c.StatementName, c.ExecutesUnknown = KindExecute, "EXECUTE", n.ExecuteStmt.GetName(), true
		a.all(n.ExecuteStmt.GetParams())
	case *pg.Node_DeallocateStmt:
		c.Kind, c.Tag, c.StatementName = KindDeallocate, "DEALLOCATE", n.DeallocateStmt.GetName()
	case *pg.Node_CallStmt:
		c.Kind, c.Tag, c.ExecutesUnknown = KindUnknown, "CALL", true
		a.call(n.CallStmt.GetFunccall())
	case *pg.Node_DoStmt:
		c.Kind, c.Tag, c.ExecutesUnknown = KindUnknown, "DO", true
		c.Language, c.Body = block(n.DoStmt)
	case *pg.Node_LoadStmt: // a library may do anything when it is loaded
		c.Kind, c.Tag, c.ExecutesUnknown = KindUnknown, "LOAD", true
	case *pg.Node_VacuumStmt:
		a.vacuum(n.VacuumStmt)
	case *pg.Node_VariableShowStmt:
		c.Kind, c.Tag = KindNeutral, "SHOW"
	case *pg.Node_ListenStmt:
		c.Kind, c.Tag = KindNeutral, "LISTEN"
	case *pg.Node_UnlistenStmt:
		c.Kind, c.Tag = KindNeutral, "UNLISTEN"
	case *pg.Node_NotifyStmt:
		c.Kind, c.Tag = KindNeutral, "NOTIFY"
	case *pg.Node_FetchStmt:
		c.Kind, c.Tag = KindNeutral, "FETCH"
		if n.FetchStmt.GetIsmove() {
			c.Tag = "MOVE"
		}
	case *pg.Node_ClosePortalStmt:
		c.Kind, c.Tag = KindNeutral, "CLOSE CURSOR"
	case *pg.Node_LockStmt:
		c.Kind, c.Tag = KindNeutral, "LOCK TABLE"
	case *pg.Node_CheckPointStmt:
		c.Kind, c.Tag = KindNeutral, "CHECKPOINT"
	default:
		a.definition(node)
	}
	if c.Kind == KindUnknown && c.Tag == "" {
		c.Tag = "?"
		a.unsupported(nodeName(node.GetNode()))
	}
}

func (a *analysis) selectCommand(s *pg.SelectStmt) {
	c := a.command
	c.Kind, c.Tag = KindSelect, "SELECT"
	a.query(s)
	a.restrictSelect(s)
	if into := intoOf(s); into != nil {
		c.Tag = "SELECT INTO"
		a.creates(into.GetRel())
	} else if len(c.Writes) > 0 {
		c.Kind = KindWrite
	}
	c.SettingCalls = settingCalls(s)
}

// intoOf returns the INTO of a query; in a set operation the leftmost SELECT may have it.
func intoOf(s *pg.SelectStmt) *pg.IntoClause {
	for ; s != nil; s = s.GetLarg() {
		if s.GetIntoClause() != nil {
			return s.GetIntoClause()
		}
	}
	return nil
}

// creates sets the kind of a command that creates a relation and may have run a query for it.
func (a *analysis) creates(r *pg.RangeVar) {
	c := a.command
	c.Kind = KindDefinition
	if temporary(r) && len(c.Writes) == 0 && !c.ExecutesUnknown && !c.Unsupported {
		c.Kind = KindTempDefinition
	}
}

// temporary tells whether the text itself makes a new relation temporary.
func temporary(r *pg.RangeVar) bool {
	return r.GetRelpersistence() == "t" || r.GetSchemaname() == "pg_temp"
}

func (a *analysis) writeCommand(tag string, n any) {
	a.command.Kind, a.command.Tag = KindWrite, tag
	a.modify(n)
	a.restrictWrite(n)
}

// wrap turns the facts of a command into those of a command that runs it and hands its rows over in another
// form. What writes or defines keeps its kind.
func (a *analysis) wrap(tag string) {
	c := a.command
	c.Inner, c.Tag = c.Kind, tag
	switch c.Kind {
	case KindSelect:
		c.Kind = KindNeutral
	case KindExecute:
		c.Kind, c.StatementName = KindUnknown, ""
	}
}

// explain reads EXPLAIN (manual, part VI). Without ANALYZE nothing is run: only the inner kind and the
// parameters count.
func (a *analysis) explain(s *pg.ExplainStmt) {
	if option(s.GetOptions(), "analyze") {
		a.statement(s.GetQuery())
		a.wrap("EXPLAIN")
		return
	}
	var inner Command
	explained := analysis{command: &inner}
	explained.statement(s.GetQuery())
	*a.command = Command{Kind: KindNeutral, Tag: "EXPLAIN", Inner: inner.Kind, MaxParam: inner.MaxParam}
}

// option tells whether a boolean option may be on: PostgreSQL lets the last one of several count, here any
// does, and a value that is not understood does, too (defGetBoolean in src/backend/commands/define.c).
func option(options []*pg.Node, name string) bool {
	for _, n := range options {
		d := n.GetDefElem()
		if !strings.EqualFold(d.GetDefname(), name) {
			continue
		}
		switch v := d.GetArg().GetNode().(type) {
		case *pg.Node_Integer:
			if v.Integer.GetIval() == 0 {
				continue
			}
		case *pg.Node_Boolean:
			if !v.Boolean.GetBoolval() {
				continue
			}
		case *pg.Node_String_:
			if s := v.String_.GetSval(); strings.EqualFold(s, "off") || strings.EqualFold(s, "false") {
				continue
			}
		}
		return true
	}
	return false
}

// copyCommand reads COPY. A program on the server may do anything.
func (a *analysis) copyCommand(s *pg.CopyStmt) {
	c := a.command
	switch {
	case s.GetIsFrom():
		c.Kind, c.Tag = KindWrite, "COPY FROM"
		c.CopyIn = !s.GetIsProgram() && s.GetFilename() == ""
		a.write(s.GetRelation(), OpCopy, false)
		a.walk(s.GetWhereClause())
	case s.GetQuery() != nil:
		a.statement(s.GetQuery())
		a.wrap("COPY TO")
	default:
		c.Kind, c.Tag = KindNeutral, "COPY TO"
		a.read(s.GetRelation())
	}
	c.ExecutesUnknown = c.ExecutesUnknown || s.GetIsProgram()
}

func (a *analysis) createTableAs(s *pg.CreateTableAsStmt) {
	a.statement(s.GetQuery())
	a.command.StatementName = ""
	a.command.Tag = "CREATE TABLE AS"
	if s.GetObjtype() == pg.ObjectType_OBJECT_MATVIEW {
		a.command.Tag = "CREATE MATERIALIZED VIEW"
	}
	a.creates(s.GetInto().GetRel())
}

// block returns the language and the text of DO's block.
func block(s *pg.DoStmt) (language, text string) {
	language = "plpgsql"
	for _, n := range s.GetArgs() {
		switch d := n.GetDefElem(); d.GetDefname() {
		case "language":
			language = d.GetArg().GetString_().GetSval()
		case "as":
			text = d.GetArg().GetString_().GetSval()
		}
	}
	return language, text
}

// vacuum reads VACUUM and ANALYZE. VACUUM FULL writes the relation anew.
func (a *analysis) vacuum(s *pg.VacuumStmt) {
	c := a.command
	c.Kind, c.Tag = KindNeutral, "ANALYZE"
	if s.GetIsVacuumcmd() {
		c.Tag = "VACUUM"
		if option(s.GetOptions(), "full") {
			c.Kind = KindDefinition
		}
	}
}
