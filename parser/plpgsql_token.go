package parser

import "strings"

// token is one of a canonical text.
type token struct {
	kind       tokenKind
	start, end int // in the text
}

type tokenKind uint8

const (
	tokenEnd      tokenKind = iota
	tokenWord               // a keyword or an unquoted name
	tokenName               // a quoted name
	tokenString             // a string constant
	tokenNumber             //
	tokenParam              // $1
	tokenOperator           // as the server reads it: the longest one; := and .. are operators, too
	tokenMark               // one of , ; ( ) [ ] . :
)

// tokens splits a canonical text as PostgreSQL's scan.l does; nil where it can't.
func tokens(text string) []token {
	list := make([]token, 0, len(text)/4+1)
	for i := 0; i < len(text); {
		c := text[i]
		if c == ' ' || c == '\n' {
			i++
			continue
		}
		t := token{start: i}
		switch classes[c] {
		case classIdent:
			t.kind, i = word(text, i)
		case classQuote:
			t.kind, i = tokenString, skipString(text, i, false)
		case classDouble:
			t.kind, i = tokenName, skipQuoted(text, i, '"')
		case classDigit:
			t.kind, i = tokenNumber, skipNumber(text, i)
		case classDollar:
			i = skipDollar(text, i)
			t.kind = tokenString
			if i > 0 && text[i-1] != '$' {
				t.kind = tokenParam
			}
		default:
			t.kind, i = symbol(text, i)
		}
		if i < 0 {
			return nil
		}
		t.end = i
		list = append(list, t)
	}
	return list
}

// word reads a name, a keyword, or a constant that begins with a letter.
func word(text string, i int) (kind tokenKind, end int) {
	start := i
	for i < len(text) && folded[text[i]] != 0 {
		i++
	}
	if i < len(text) && i-start == 1 {
		switch c := text[start]; {
		case text[i] == '\'' && strings.IndexByte("ebxn", c) >= 0:
			return tokenString, skipString(text, i, c == 'e')
		case c == 'u' && text[i] == '&' && i+1 < len(text) && text[i+1] == '\'':
			return tokenString, skipString(text, i+1, false)
		case c == 'u' && text[i] == '&' && i+1 < len(text) && text[i+1] == '"':
			return tokenName, skipQuoted(text, i+1, '"')
		}
	}
	return tokenWord, i
}

// skipString returns the end of a string constant with all its parts, which a newline separates.
func skipString(text string, i int, escaped bool) int {
	for {
		if escaped {
			i = skipEscaped(text, i)
		} else {
			i = skipQuoted(text, i, '\'')
		}
		if i < 0 || i+1 >= len(text) || text[i] != '\n' || text[i+1] != '\'' {
			return i
		}
		i++
	}
}

// symbol reads an operator or a mark.
func symbol(text string, i int) (kind tokenKind, end int) {
	const operators = "+-*/<>=~!@#%^&|`?"
	start := i
	for i < len(text) && strings.IndexByte(operators, text[i]) >= 0 {
		i++
	}
	if i > start { // + and - end no longer operator unless it has one of the special characters
		for i > start+1 && (text[i-1] == '+' || text[i-1] == '-') && !strings.ContainsAny(text[start:i], "~!@#%^&|`?") {
			i--
		}
		return tokenOperator, i
	}
	switch text[i] {
	case ':':
		if i+1 < len(text) && (text[i+1] == '=' || text[i+1] == ':') {
			return tokenOperator, i + 2
		}
		return tokenMark, i + 1
	case '.':
		if i+1 < len(text) && text[i+1] == '.' {
			return tokenOperator, i + 2
		}
		if i+1 < len(text) && classes[text[i+1]] == classDigit {
			return tokenNumber, skipNumber(text, i)
		}
		return tokenMark, i + 1
	case ',', ';', '(', ')', '[', ']':
		return tokenMark, i + 1
	}
	return tokenEnd, -1
}
