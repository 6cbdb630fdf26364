package parser

// gap is what stands between two tokens.
type gap struct {
	newline, block, bad bool
}

// skipGap returns the end of the white space and comments that begin at i.
func skipGap[T string | []byte](text T, i int, directive *Directive) (int, gap) {
	var g gap
	for i < len(text) {
		switch c := text[i]; {
		case classes[c] == classSpace:
			g.newline = g.newline || c == '\n' || c == '\r'
			i++
		case c == '-' && i+1 < len(text) && text[i+1] == '-':
			start := i + 2
			for i = start; i < len(text) && text[i] != '\n' && text[i] != '\r'; i++ {
				if text[i] == 0 {
					g.bad = true
				}
			}
			readDirective(directive, text, start, i)
		case c == '/' && i+1 < len(text) && text[i+1] == '*':
			end := skipBlock(text, i)
			if end < 0 {
				g.bad = true
				return i, g
			}
			readDirective(directive, text, i+2, end-2)
			g.block = true
			i = end
		default:
			return i, g
		}
	}
	return i, g
}

// skipBlock returns the end of the block comment at i, -1 when it has none.
func skipBlock[T string | []byte](text T, i int) int {
	depth := 1
	for i += 2; i+1 < len(text); {
		switch {
		case text[i] == '*' && text[i+1] == '/':
			i += 2
			if depth--; depth == 0 {
				return i
			}
		case text[i] == '/' && text[i+1] == '*':
			i += 2
			if depth++; depth > maxCommentDepth {
				return -1
			}
		case text[i] == 0:
			return -1
		default:
			i++
		}
	}
	return -1
}

// skipQuoted returns the end of the literal or name at i, in which a doubled quote stands for one; -1 when
// it has none. B” and X” know no doubled quotes, but their end is the same either way.
func skipQuoted[T string | []byte](text T, i int, quote byte) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case quote:
			if i+1 == len(text) || text[i+1] != quote {
				return i + 1
			}
			i++
		case 0:
			return -1
		}
	}
	return -1
}

// skipEscaped is skipQuoted for E”: the byte after a backslash is part of the literal.
func skipEscaped[T string | []byte](text T, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			if i++; i < len(text) && text[i] == 0 {
				return -1
			}
		case '\'':
			if i+1 == len(text) || text[i+1] != '\'' {
				return i + 1
			}
			i++
		case 0:
			return -1
		}
	}
	return -1
}

// skipNumber returns the end of the number at i, -1 when a name follows at once: PostgreSQL 14 reads a
// number and a name, 15 refuses, 16 may read one number (0x1F, 1_000).
func skipNumber[T string | []byte](text T, i int) int {
	n := len(text)
	for i < n && classes[text[i]] == classDigit {
		i++
	}
	if i < n && text[i] == '.' && (i+1 == n || text[i+1] != '.') {
		for i++; i < n && classes[text[i]] == classDigit; i++ {
		}
	}
	if i < n && text[i]|0x20 == 'e' {
		if i++; i < n && (text[i] == '+' || text[i] == '-') {
			i++
		}
		if i == n || classes[text[i]] != classDigit {
			return -1
		}
		for i < n && classes[text[i]] == classDigit {
			i++
		}
	}
	if i < n && classes[text[i]] == classIdent {
		return -1
	}
	return i
}

// skipDollar returns the end of the parameter or dollar-quoted literal at i, -1 when it is neither.
func skipDollar[T string | []byte](text T, i int) int {
	n, start := len(text), i
	if i++; i < n && classes[text[i]] == classDigit {
		for i < n && classes[text[i]] == classDigit {
			i++
		}
		if i < n && classes[text[i]] == classIdent {
			return -1
		}
		return i
	}
	for i < n && (classes[text[i]] == classIdent || classes[text[i]] == classDigit) {
		i++
	}
	if i == n || text[i] != '$' {
		return -1
	}
	i++
	for size := i - start; i+size <= n; i++ {
		if text[i] == '$' && string(text[i:i+size]) == string(text[start:start+size]) {
			return i + size
		}
		if text[i] == 0 {
			return -1
		}
	}
	return -1
}
