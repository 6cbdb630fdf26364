package parser

import "errors"

// MaxText is the length in bytes of the longest text that is analysed.
const MaxText = 256 << 10

// The C parser recurses without a check of its own, and a stack that overflows there ends the process.
// Measured with pg_query_go 6.2.5: a level of the tree takes up to 400 bytes of stack to parse (operators,
// casts, NOT, UNION, JOIN, calls, subqueries, CASE alike), up to 800 in Normalize. The least stack that glibc
// gives a thread is 2 MiB (with "ulimit -s unlimited"; else it is that limit, 8 MiB as a rule), which bears
// 2,500 levels; a fifth of that is the bound. musl gives 128 KiB: link with -extldflags=-Wl,-z,stack-size=2097152
// there.
const (
	// maxDepth bounds the depth of a parse tree, measured in tokens along its longest path.
	maxDepth = 500
	// maxTokens bounds the time: 65,536 tokens take about a quarter of a second.
	maxTokens = 64 << 10
	// maxForeign is the length of the longest text that is analysed without a canonical form, of which
	// nothing is known but its length: no text makes more levels than it has bytes.
	maxForeign = 500
)

// Errors of Statement.Err, beside SyntaxError. None quotes the text.
var (
	ErrTooLong  = errors.New("parser: the text is too long")
	ErrTooDeep  = errors.New("parser: the text is nested too deeply")
	ErrEncoding = errors.New("parser: the text is not UTF-8")
)

// SyntaxError is the error of a text that PostgreSQL 17's grammar refuses; another version may know it.
type SyntaxError struct{ cause error }

// Error quotes nothing of the text: it may be logged.
func (e *SyntaxError) Error() string { return "parser: the text is not understood" }

// Unwrap returns the grammar's own error. It quotes the text, constants too: for the text's author only.
func (e *SyntaxError) Unwrap() error { return e.cause }

// frame is a bracket, a CASE or the text itself while depthOf measures it.
type frame struct {
	closer  byte // ')', ']', 'e' for END, 0 for the text
	between bool // an AND is owed to a BETWEEN
	chain   int  // joins and set operations: they nest leftwards across the whole frame
	item    int  // tokens since the last separator
	inner   int  // deepest frame since then
	deepest int  // deepest item so far
}

func (f *frame) separate() {
	f.deepest = max(f.deepest, f.item+f.inner)
	f.item, f.inner = 0, 0
}

func (f *frame) depth() int {
	f.separate()
	return f.chain + f.deepest
}

// depthOf bounds the depth of the parse tree of a canonical text from above, and counts its tokens (at
// least; every operator character counts). Each level of the tree takes a token of its own, except that
// the elements of a list, the operands of AND and OR, and the arms of a CASE lie side by side.
func depthOf(canonical string) (depth, tokens int) {
	frames := make([]frame, 1, 16)
	after := byte(0) // last byte of the token before
	for i := 0; i < len(canonical); {
		c := canonical[i]
		top := &frames[len(frames)-1]
		if c == ' ' || c == '\n' {
			i++
			continue
		}
		tokens++
		top.item++
		start := i
		switch classes[c] {
		case classIdent:
			for i < len(canonical) && folded[canonical[i]] != 0 {
				i++
			}
			word := canonical[start:i]
			if i < len(canonical) && canonical[i] == '\'' && word == "e" {
				i = skipEscaped(canonical, i)
				for i >= 0 && i+1 < len(canonical) && canonical[i] == '\n' {
					i = skipEscaped(canonical, i+1)
				}
			} else if after != '.' {
				frames = keyword(frames, word)
			}
		case classQuote:
			i = skipQuoted(canonical, i, '\'')
		case classDouble:
			i = skipQuoted(canonical, i, '"')
		case classDigit:
			i = skipNumber(canonical, i)
		case classDollar:
			i = skipDollar(canonical, i)
		default:
			i++
			switch c {
			case ',':
				top.separate()
			case ';':
				top.deepest = max(top.deepest, top.depth())
				top.chain = 0
			case '(':
				frames = append(frames, frame{closer: ')'})
			case '[':
				frames = append(frames, frame{closer: ']'})
			case ')', ']':
				frames = closeFrame(frames, c)
			}
		}
		if i < 0 { // not a canonical text
			return len(canonical), tokens
		}
		after = canonical[i-1]
	}
	for len(frames) > 1 {
		frames = pop(frames)
	}
	return frames[0].depth(), tokens
}

// keyword opens, closes and separates frames at the words that do.
func keyword(frames []frame, word string) []frame {
	top := &frames[len(frames)-1]
	switch word {
	case "case":
		return append(frames, frame{closer: 'e'})
	case "end":
		if top.closer == 'e' {
			return pop(frames)
		}
	case "join", "union", "intersect", "except":
		top.separate()
		top.chain++
	case "between":
		top.between = true
	case "and":
		if !top.between {
			top.separate()
		}
		top.between = false
	case "or":
		top.separate()
		top.between = false
	case "when":
		if top.closer == 'e' {
			top.separate()
		}
	}
	return frames
}

// closeFrame closes the innermost frame that the bracket can close, and those inside it.
func closeFrame(frames []frame, closer byte) []frame {
	for i := len(frames) - 1; i > 0; i-- {
		if frames[i].closer == closer {
			for len(frames) > i {
				frames = pop(frames)
			}
			break
		}
	}
	return frames
}

func pop(frames []frame) []frame {
	depth := frames[len(frames)-1].depth() + 1
	frames = frames[:len(frames)-1]
	top := &frames[len(frames)-1]
	top.inner = max(top.inner, depth)
	return frames
}
