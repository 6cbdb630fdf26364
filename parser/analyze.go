package parser

import (
	"errors"
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// Analyze says what a text means. It never fails: what is not understood is told in Statement.Err, in
// Command.Unsupported or by KindUnknown. The text must come from a session with
// standard_conforming_strings on. The result holds no reference to the text.
//
// The cost is about 30 microseconds for a simple SELECT; see Cache.
func Analyze(text string) *Statement {
	if len(text) > MaxText {
		return (&Statement{Err: ErrTooLong}).measure()
	}
	s := &Statement{}
	canonical, _, ok := Canonicalize(nil, text)
	if ok {
		s.Canonical = string(canonical)
	} else {
		s.Canonical = strings.Clone(text)
	}
	if s.Err = bounded(s.Canonical, ok); s.Err != nil {
		return s.measure()
	}
	tree, err := pg.Parse(s.Canonical)
	if err != nil {
		s.Err = &SyntaxError{err}
		return s.measure()
	}
	s.Commands = make([]Command, len(tree.GetStmts()))
	for i, raw := range tree.GetStmts() {
		a := analysis{command: &s.Commands[i]}
		a.statement(raw.GetStmt())
	}
	return s.measure()
}

// bounded refuses the texts that the C parser may not see.
func bounded(text string, canonical bool) error {
	switch {
	case !utf8.ValidString(text):
		return ErrEncoding
	case strings.IndexByte(text, 0) >= 0:
		return errors.New("parser: the text holds a zero byte")
	case !canonical:
		if len(text) > maxForeign {
			return ErrTooLong
		}
		return nil
	}
	depth, tokens := depthOf(text)
	if depth > maxDepth {
		return ErrTooDeep
	}
	if tokens > maxTokens {
		return ErrTooLong
	}
	return nil
}

// Normalize returns the text with its constants replaced by $1, $2, ..., for statistics. It keeps names,
// and it never returns a text in which a constant was left: what it can't read is an error. DDL and other
// commands that carry constants elsewhere than in expressions (passwords, say) are refused, too.
func Normalize(text string) (string, error) {
	if len(text) > MaxText {
		return "", ErrTooLong
	}
	canonical, _, ok := Canonicalize(nil, text)
	if !ok {
		canonical = []byte(text)
	}
	if err := bounded(string(canonical), ok); err != nil {
		return "", err
	}
	utility, err := pg.IsUtilityStmt(string(canonical))
	if err != nil {
		return "", &SyntaxError{err}
	}
	for _, is := range utility {
		if is {
			return "", ErrUtility
		}
	}
	normalized, err := pg.Normalize(string(canonical))
	if err != nil {
		return "", &SyntaxError{err}
	}
	return normalized, nil
}

// ErrUtility is Normalize's error for commands that are not SELECT, INSERT, UPDATE, DELETE or MERGE.
var ErrUtility = errors.New("parser: a utility command has no normalized form")

// Estimates for Statement.Size, in bytes: structures with their slice and map slots.
const (
	statementSize = 128
	commandSize   = 592
	nameSize      = 64
	predicateSize = 128
)

func entrySize(r Relation, alias, column string) int {
	return len(r.Catalog) + len(r.Schema) + len(r.Name) + len(alias) + len(column)
}

// measure fills Size in.
func (s *Statement) measure() *Statement {
	size := statementSize + len(s.Canonical) + commandSize*len(s.Commands)
	if s.Err != nil {
		size += 256
	}
	for i := range s.Commands {
		c := &s.Commands[i]
		size += len(c.SettingValue) + len(c.Setting) + len(c.StatementName) + len(c.Body) + len(c.Language)
		for _, r := range c.Reads {
			size += nameSize + len(r.Name) + len(r.Schema) + len(r.Catalog)
		}
		for _, w := range c.Writes {
			size += nameSize + len(w.Name) + len(w.Schema) + len(w.Catalog)
		}
		for _, f := range c.Functions {
			size += nameSize + len(f.Name) + len(f.Schema)
		}
		for _, o := range c.Operators {
			size += nameSize + len(o.Name) + len(o.Schema)
		}
		for _, t := range c.Casts {
			size += 2*nameSize + len(t.Schema) + len(t.Type) + len(t.Column) + len(t.Function)
		}
		for _, name := range c.Attributes {
			size += nameSize + len(name)
		}
		for _, name := range c.SettingsRead {
			size += nameSize + len(name)
		}
		for _, call := range c.SettingCalls {
			size += 2*nameSize + len(call.Setting)
		}
		for i := range c.Predicates {
			p := &c.Predicates[i]
			size += predicateSize + entrySize(p.Relation, p.Alias, p.Column)
			for _, v := range p.Values {
				size += nameSize + len(v.Text) + len(v.Type)
			}
		}
		for _, e := range c.Equalities {
			size += 2*predicateSize + entrySize(e.Left.Relation, e.Left.Alias, e.Left.Column) +
				entrySize(e.Right.Relation, e.Right.Alias, e.Right.Column)
		}
	}
	s.Size = size
	return s
}
