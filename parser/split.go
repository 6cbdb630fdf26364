package parser

import (
	"errors"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	pgparser "github.com/pganalyze/pg_query_go/v6/parser"
)

// Part is one statement of a text that holds several, as it was written, with the comments before and in it.
type Part struct {
	Text string
	Line int // of the first token that is no comment, from 1
}

// SplitError tells where a text can't be split.
type SplitError struct {
	Line  int // 0 where it is not known
	cause error
}

func (e *SplitError) Error() string {
	return "the text ends in the middle of a literal, a name or a comment"
}

// Unwrap returns the scanner's own error, which may quote the text.
func (e *SplitError) Unwrap() error { return e.cause }

// Split cuts a text at the semicolons that PostgreSQL's scanner sees outside of parentheses. Parts without a token are left out; what a part
// means, and whether it means anything, is for Analyze to say. The bodies of SQL-standard functions (BEGIN ATOMIC) are cut, too.
// The error is a *SplitError.
func Split(text string) ([]Part, error) {
	scanned, err := pg.Scan(text)
	if err != nil {
		e := &SplitError{cause: err}
		var at *pgparser.Error
		if errors.As(err, &at) && at.Cursorpos > 0 && at.Cursorpos <= len(text) {
			e.Line = 1 + strings.Count(text[:at.Cursorpos-1], "\n")
		}
		return nil, e
	}
	var parts []Part
	start, first, depth := 0, -1, 0
	line, counted := 1, 0
	cut := func(end int) {
		if first >= 0 {
			line += strings.Count(text[counted:first], "\n")
			counted = first
			parts = append(parts, Part{strings.TrimSpace(text[start:end]), line})
		}
		first, depth = -1, 0
	}
	for _, t := range scanned.GetTokens() {
		switch t.GetToken() {
		case pg.Token_SQL_COMMENT, pg.Token_C_COMMENT:
			continue
		case pg.Token_ASCII_40:
			depth++
		case pg.Token_ASCII_41:
			depth--
		case pg.Token_ASCII_59:
			if depth <= 0 {
				cut(int(t.GetStart()))
				start = int(t.GetEnd())
				continue
			}
		}
		if first < 0 {
			first = int(t.GetStart())
		}
	}
	cut(len(text))
	return parts, nil
}
