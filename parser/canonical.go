package parser

import "slices"

// class is what a byte can begin, after PostgreSQL's scan.l.
type class uint8

const (
	classBad    class = iota // NUL, control bytes, backslash, braces: never part of a valid token
	classSpace               // space, tab, newline, carriage return, form feed
	classMinus               // - may begin a comment
	classSlash               // / may begin a comment
	classIdent               // ident_start: letters, underscore, bytes from 0x80
	classDigit               //
	classQuote               // '
	classDouble              // "
	classDollar              // $
	classDot                 // .
	classOther               // operators and punctuation
)

// classes and folded are read only. Vertical tab is not white space before PostgreSQL 16, so it is bad.
var (
	classes = classTable()
	folded  = foldTable()
)

func classTable() (t [256]class) {
	for c := range t {
		switch b := byte(c); {
		case b >= 0x80, b == '_', 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z':
			t[c] = classIdent
		case '0' <= b && b <= '9':
			t[c] = classDigit
		}
	}
	for _, c := range []byte(" \t\n\r\f") {
		t[c] = classSpace
	}
	for _, c := range []byte(",()[];:+*%^<>=~!@#&|`?") {
		t[c] = classOther
	}
	t['\''], t['"'], t['$'], t['.'] = classQuote, classDouble, classDollar, classDot
	t['-'], t['/'] = classMinus, classSlash
	return t
}

// foldTable maps ident_cont bytes to their folded form and every other byte to 0. PostgreSQL folds
// bytes above 0x7F in single-byte encodings only; they stay as they are here, which can only cost a hit.
func foldTable() (t [256]byte) {
	for c := range t {
		if k := classes[c]; k == classIdent || k == classDigit || k == classDollar {
			t[c] = byte(c)
			if 'A' <= c && c <= 'Z' {
				t[c] = byte(c) + 'a' - 'A'
			}
		}
	}
	return t
}

// maxCommentDepth bounds nested block comments: PostgreSQL's scanner takes quadratic time for them.
const maxCommentDepth = 64

// literal is the kind of string literal that may continue after a newline.
type literal uint8

const (
	literalNone literal = iota
	literalPlain
	literalEscape // E'...': a backslash hides the next byte
)

// Canonicalize appends the canonical form of a text to dst: comments and white space shrink to one space
// or go where they lead or trail, unquoted identifiers and keywords are folded to lower case, trailing
// semicolons are dropped, all else stays as it is. Texts with equal canonical form have equal parse
// trees; the form of a form is itself. It is never longer than the text. It allocates only to grow dst
// and, for a []byte, to hold a directive's TTL.
//
// Where ok is false the text was not understood (an unterminated token, bytes that are no token, a number
// that runs into a name, which PostgreSQL's versions read differently); dst comes back as it was, and the
// text itself has to serve as its key. A directive found until then is still reported.
//
// The session must have standard_conforming_strings on and a client encoding whose multibyte characters
// hold no ASCII bytes (not SJIS, BIG5, GBK, UHC, GB18030, JOHAB). Source: src/backend/parser/scan.l.
func Canonicalize[T string | []byte](dst []byte, text T) (canonical []byte, directive Directive, ok bool) {
	base, n := len(dst), len(text)
	dst = slices.Grow(dst, n)
	out := dst[base : base+n]
	w := 0                 // bytes written to out
	last := literalNone    // kind of the token just written, if it is a string literal
	var trailing Directive // directives since the last token that is no semicolon
	for i := 0; i < n; {
		c := text[i]
		k := classes[c]
		next := last
		last = literalNone
		if k == classSpace || (k == classMinus && i+1 < n && text[i+1] == '-') ||
			(k == classSlash && i+1 < n && text[i+1] == '*') {
			var g gap
			if k == classSpace && i+1 < n && classes[text[i+1]] >= classIdent {
				g.newline = c == '\n' || c == '\r'
				i++
			} else {
				i, g = skipGap(text, i, &trailing)
				if g.bad {
					return dst[:base], directive, false
				}
				if w == 0 {
					directive, trailing = trailing, Directive{}
				}
			}
			if w == 0 || i == n {
				continue
			}
			// 'a' newline 'b' is one literal, 'a' 'b' is an error. Comments with -- may stand at the newline
			// (manual, section 4.1.2.1; libpg_query's scanner refuses them there), block comments may not.
			if next != literalNone && g.newline && !g.block && text[i] == '\'' {
				out[w] = '\n'
				last = next
			} else {
				out[w] = ' '
			}
			w++
			continue
		}
		start := i
		switch k {
		case classIdent:
			for ; i < n && w < len(out); i++ {
				f := folded[text[i]]
				if f == 0 {
					break
				}
				out[w] = f
				w++
			}
			trailing = Directive{}
			if i-start > 1 || i == n {
				continue
			}
			// A one-letter prefix and a quote: E'', B'', X'', N'', U&'', U&"".
			prefix := folded[c]
			if text[i] == '&' && prefix == 'u' && i+1 < n && (text[i+1] == '\'' || text[i+1] == '"') {
				out[w] = '&'
				w++
				i++
			} else if text[i] != '\'' || (prefix != 'e' && prefix != 'b' && prefix != 'x' && prefix != 'n') {
				continue
			}
			start = i
			switch {
			case text[i] == '"':
				i = skipQuoted(text, i, '"')
			case prefix == 'e':
				i, last = skipEscaped(text, i), literalEscape
			default:
				i, last = skipQuoted(text, i, '\''), literalPlain
			}
		case classQuote:
			if next == literalEscape {
				i, last = skipEscaped(text, i), literalEscape
			} else {
				i, last = skipQuoted(text, i, '\''), literalPlain
			}
		case classDouble:
			i = skipQuoted(text, i, '"')
		case classDigit:
			i = skipNumber(text, i)
		case classDot:
			if i+1 < n && classes[text[i+1]] == classDigit {
				i = skipNumber(text, i)
			} else {
				i++
			}
		case classDollar:
			i = skipDollar(text, i)
		case classOther, classMinus, classSlash:
			out[w] = c
			w++
			i++
			if c != ';' {
				trailing = Directive{}
			}
			continue
		default:
			i = -1
		}
		if i < 0 {
			return dst[:base], directive, false
		}
		w += copy(out[w:], text[start:i])
		trailing = Directive{}
	}
	// Neither byte can end a literal or a name.
	for w > 0 && (out[w-1] == ';' || out[w-1] == ' ') {
		w--
	}
	directive.merge(trailing)
	return dst[:base+w], directive, true
}
