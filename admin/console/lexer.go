package console

import (
	"errors"
	"strings"
)

// statement is one of the statements of a text.
type statement struct {
	text  string // without the semicolon
	words []word
}

// word is a run of characters without blanks, in which quoted parts stand for what is in them.
type word struct {
	text       string // bare parts in lower case, quoted ones as they are
	bare       bool   // nothing in it was quoted
	start, end int    // offsets in the statement's text
}

// is tells whether the word is a keyword.
func (w word) is(keyword string) bool { return w.bare && w.text == keyword }

// errUnterminated is a text that ends inside of quotes or a comment.
var errUnterminated = errors.New("unterminated quoted string, name or comment")

// split cuts a text into statements and words by PostgreSQL's rules for quotes and comments (manual, section 4.1). Statements without a word are left out.
func split(text string) ([]statement, error) {
	var all []statement
	l := lexer{text: text}
	for {
		s, more, err := l.statement()
		if err != nil {
			return nil, err
		}
		if len(s.words) > 0 {
			all = append(all, s)
		}
		if !more {
			return all, nil
		}
	}
}

type lexer struct {
	text string
	at   int
}

// statement reads up to a semicolon or the end.
func (l *lexer) statement() (s statement, more bool, err error) {
	start := l.at
	for {
		if err := l.skipGap(); err != nil {
			return s, false, err
		}
		if l.at == len(l.text) || l.text[l.at] == ';' {
			s.text = l.text[start:l.at]
			more = l.at < len(l.text)
			l.at++
			return s, more, nil
		}
		w, err := l.word()
		if err != nil {
			return s, false, err
		}
		w.start -= start
		w.end -= start
		s.words = append(s.words, w)
	}
}

// skipGap skips blanks and comments.
func (l *lexer) skipGap() error {
	for l.at < len(l.text) {
		rest := l.text[l.at:]
		switch {
		case isBlank(rest[0]):
			l.at++
		case strings.HasPrefix(rest, "--"):
			n := strings.IndexAny(rest, "\r\n")
			if n < 0 {
				n = len(rest)
			}
			l.at += n
		case strings.HasPrefix(rest, "/*"):
			if err := l.skipComment(); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

// skipComment skips a comment, in which others may be nested.
func (l *lexer) skipComment() error {
	depth := 0
	for l.at < len(l.text) {
		switch rest := l.text[l.at:]; {
		case strings.HasPrefix(rest, "/*"):
			depth++
			l.at += 2
		case strings.HasPrefix(rest, "*/"):
			l.at += 2
			if depth--; depth == 0 {
				return nil
			}
		default:
			l.at++
		}
	}
	return errUnterminated
}

func isBlank(c byte) bool { return strings.IndexByte(" \t\n\r\f\v", c) >= 0 }

// word reads up to a blank, a comment or a semicolon.
func (l *lexer) word() (word, error) {
	w := word{bare: true, start: l.at}
	var b strings.Builder
	for l.at < len(l.text) {
		rest := l.text[l.at:]
		c := rest[0]
		switch {
		case isBlank(c) || c == ';' || strings.HasPrefix(rest, "--") || strings.HasPrefix(rest, "/*"):
			w.text, w.end = b.String(), l.at
			return w, nil
		case c == '\'' || c == '"':
			escaped := c == '\'' && l.at > w.start && l.text[l.at-1]|0x20 == 'e' && (l.at-1 == w.start || !isName(l.text[l.at-2]))
			quoted, err := l.quoted(c, escaped)
			if err != nil {
				return w, err
			}
			b.WriteString(quoted)
			w.bare = false
		case c == '$':
			n, err := dollarQuoted(rest, l.at > 0 && isName(l.text[l.at-1]))
			if err != nil {
				return w, err
			}
			b.WriteString(rest[:n])
			w.bare = w.bare && n == 1
			l.at += n
		default:
			if 'A' <= c && c <= 'Z' {
				c |= 0x20
			}
			b.WriteByte(c)
			l.at++
		}
	}
	w.text, w.end = b.String(), l.at
	return w, nil
}

// quoted reads a literal or name; a doubled quote in it stands for one.
func (l *lexer) quoted(quote byte, escaped bool) (string, error) {
	var b strings.Builder
	for l.at++; l.at < len(l.text); l.at++ {
		c := l.text[l.at]
		switch {
		case c == '\\' && escaped && l.at+1 < len(l.text):
			l.at++
			b.WriteByte(l.text[l.at])
		case c != quote:
			b.WriteByte(c)
		case l.at+1 < len(l.text) && l.text[l.at+1] == quote:
			b.WriteByte(c)
			l.at++
		default:
			l.at++
			return b.String(), nil
		}
	}
	return "", errUnterminated
}

// isName tells whether a byte can be part of a name.
func isName(c byte) bool {
	return c >= 0x80 || c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// dollarQuoted returns the length of the dollar-quoted literal at the start of a text, 1 where there is only a dollar sign.
func dollarQuoted(text string, inName bool) (int, error) {
	n := 1
	for n < len(text) && isName(text[n]) {
		n++
	}
	if inName || n == len(text) || text[n] != '$' || '0' <= text[1] && text[1] <= '9' {
		return 1, nil
	}
	tag := text[:n+1]
	end := strings.Index(text[n+1:], tag)
	if end < 0 {
		return 0, errUnterminated
	}
	return n + 1 + end + len(tag), nil
}
