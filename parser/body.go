package parser

import (
	"errors"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// Body is what the body of a function, a procedure or a DO block may run: facts about its text, as Command has them
// of one command. Which of it runs, how often and with which values is not told.
type Body struct {
	// Err is why the body was not understood; nothing else is told then.
	Err error
	// Commands are all commands of the body, and its expressions as SELECTs. A name in one of them that stands for no relation and
	// no function may be a variable: Predicates and Equalities mean nothing here.
	Commands []Command
	// Types are the types of its variables. A session looks for them when it runs the body for the first time, which may have been under
	// another search_path.
	Types []Cast
	// Rows are the relations whose columns' types variables have (%ROWTYPE, %TYPE); a name of two parts may be a variable, too.
	Rows []Relation
	// Ends is true when the body holds COMMIT or ROLLBACK.
	Ends bool
	// Cursor is true when it fetches from a cursor, which may have come from elsewhere. Opens is true when it opens one, which may be read
	// from elsewhere later.
	Cursor, Opens bool
	// Notices is true when it may send messages to the client (RAISE below EXCEPTION).
	Notices bool
}

// maxBody bounds a body's length in bytes.
const maxBody = MaxText

// Errors of Body.Err, beside those of Statement.Err. None quotes the text.
var (
	ErrDynamic  = errors.New("parser: the body executes SQL that it makes at run time")
	ErrBody     = errors.New("parser: the body is not understood")
	ErrLanguage = errors.New("parser: bodies in this language are not read")
)

// AnalyzeBody says what a body in a language (lower case) may run. Only SQL and PL/pgSQL are known. The body must be read
// with standard_conforming_strings on, as statements are.
func AnalyzeBody(language, text string) *Body {
	if len(text) > maxBody {
		return &Body{Err: ErrTooLong}
	}
	switch language {
	case "sql":
		s := Analyze(text)
		return (&Body{Err: s.Err, Commands: s.Commands}).judge()
	case "plpgsql":
		return analyzePLpgSQL(text)
	}
	return &Body{Err: ErrLanguage}
}

// AnalyzeStandardBody says what the body of a function in SQL's standard form (BEGIN ATOMIC ... END, RETURN ...) may run. definition
// is its pg_get_functiondef: names were resolved when the function was made, and the server writes them so that an empty search_path
// finds them.
func AnalyzeStandardBody(definition string) *Body {
	b := &Body{}
	tree, err := parseBounded(definition)
	if err != nil {
		return &Body{Err: err}
	}
	if len(tree.GetStmts()) != 1 {
		return &Body{Err: ErrBody}
	}
	body := tree.GetStmts()[0].GetStmt().GetCreateFunctionStmt().GetSqlBody()
	if body == nil {
		return &Body{Err: ErrBody}
	}
	b.standard(body)
	return b.judge()
}

// standard takes in the node of a body: a RETURN, a statement, or lists of those.
func (b *Body) standard(n *pg.Node) {
	if list := n.GetList(); list != nil {
		for _, item := range list.GetItems() {
			b.standard(item)
		}
		return
	}
	command := Command{}
	a := analysis{command: &command}
	if r := n.GetReturnStmt(); r != nil {
		command.Kind, command.Tag = KindSelect, "RETURN"
		a.walk(r.GetReturnval())
	} else {
		a.statement(n)
	}
	b.Commands = append(b.Commands, command)
}

// AnalyzeTriggerCondition says what the WHEN of a trigger calls. definition is the trigger's pg_get_triggerdef.
func AnalyzeTriggerCondition(definition string) *Body {
	tree, err := parseBounded(definition)
	if err != nil {
		return &Body{Err: err}
	}
	if len(tree.GetStmts()) != 1 {
		return &Body{Err: ErrBody}
	}
	trigger := tree.GetStmts()[0].GetStmt().GetCreateTrigStmt()
	if trigger == nil {
		return &Body{Err: ErrBody}
	}
	b := &Body{Commands: []Command{{Kind: KindSelect, Tag: "WHEN"}}}
	a := analysis{command: &b.Commands[0]}
	a.walk(trigger.GetWhenClause())
	return b.judge()
}

// parseBounded parses a text that Analyze would parse.
func parseBounded(text string) (*pg.ParseResult, error) {
	canonical, _, ok := Canonicalize(nil, text)
	if ok {
		text = string(canonical)
	}
	if err := bounded(text, ok); err != nil {
		return nil, err
	}
	tree, err := pg.Parse(text)
	if err != nil {
		return nil, &SyntaxError{err}
	}
	return tree, nil
}

// judge drops everything where one of the commands was not understood.
func (b *Body) judge() *Body {
	if b.Err != nil {
		return &Body{Err: b.Err}
	}
	for i := range b.Commands {
		c := &b.Commands[i]
		switch {
		case c.Unsupported:
			return &Body{Err: ErrBody}
		case c.Kind == KindCommit, c.Kind == KindRollback:
			b.Ends = true
		case c.Tag == "FETCH":
			b.Cursor = true
		case c.Tag == "DECLARE CURSOR":
			b.Opens = true
		}
	}
	return b
}

// add takes in a command of the body. Where it isn't exactly one, the body was not understood.
func (b *Body) add(text string) {
	s := Analyze(text)
	switch c := s.Single(); {
	case b.Err != nil:
	case s.Err != nil:
		b.Err = s.Err
	case c == nil:
		b.Err = ErrBody
	default:
		b.Commands = append(b.Commands, *c)
	}
}

// addExpression takes in an expression of PL/pgSQL, which is a SELECT without its first word.
func (b *Body) addExpression(text string) { b.add("select " + text) }

// addType takes in the type of a variable.
func (b *Body) addType(text string) {
	name, kind, relative := strings.Cut(text, "%")
	if relative {
		b.addRelative(strings.TrimSpace(name), strings.TrimSpace(kind))
		return
	}
	s := Analyze("select cast(null as " + text + ")")
	c := s.Single()
	if c == nil || c.Kind != KindSelect || len(c.Casts) != 1 || len(c.Reads)+len(c.Functions)+len(c.Operators) > 0 {
		b.fail(ErrBody)
		return
	}
	b.Types = append(b.Types, c.Casts[0])
}

// addRelative takes in name%TYPE or name%ROWTYPE. A name of one part is a variable's where a %TYPE is asked for.
func (b *Body) addRelative(name, kind string) {
	s := Analyze("select " + name)
	if s.Single() == nil {
		b.fail(ErrBody)
		return
	}
	fields := columnFields(s.Canonical)
	row := strings.HasPrefix(kind, "rowtype")
	switch {
	case fields == nil || !row && !strings.HasPrefix(kind, "type"):
		b.fail(ErrBody)
		return
	case !row && len(fields) == 1:
		return
	case !row:
		fields = fields[:len(fields)-1]
	}
	r := Relation{Name: fields[len(fields)-1]}
	if len(fields) > 1 {
		r.Schema = fields[len(fields)-2]
	}
	b.Rows = append(b.Rows, r)
}

// columnFields are the parts of the only name in "select name", nil for other texts.
func columnFields(text string) []string {
	tree, err := pg.Parse(text)
	if err != nil || len(tree.GetStmts()) != 1 {
		return nil
	}
	targets := tree.GetStmts()[0].GetStmt().GetSelectStmt().GetTargetList()
	if len(targets) != 1 {
		return nil
	}
	var fields []string
	for _, field := range targets[0].GetResTarget().GetVal().GetColumnRef().GetFields() {
		if field.GetString_() == nil {
			return nil
		}
		fields = append(fields, field.GetString_().GetSval())
	}
	return fields
}

func (b *Body) fail(err error) {
	if b.Err == nil {
		b.Err = err
	}
}
