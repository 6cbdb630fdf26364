package console

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pgrecall/pgrecall/admin"
	"github.com/pgrecall/pgrecall/wire"
)

// SQLSTATEs (PostgreSQL documentation, appendix "PostgreSQL Error Codes").
const (
	codeSyntax          = "42601"
	codeProtocol        = "08P01"
	codeNotSupported    = "0A000"
	codeInvalidValue    = "22023"
	codeTooMuch         = "54000"
	codeCanceled        = "57014"
	codeState           = "55000"
	codeFailed          = "25P02"
	codeConfiguration   = "F0000"
	codeInternal        = "XX000"
	codeDuplicate       = "42P05"
	codeDuplicatePortal = "42P03"
	codeNoStatement     = "26000"
	codeNoPortal        = "34000"
	codeWarning         = "01000"
)

// failure is an error for the client.
type failure struct{ wire.Fields }

func (f *failure) Error() string { return f.Message }

func fail(code, message, hint string) *failure {
	return &failure{wire.Fields{Severity: wire.SeverityError, Code: code, Message: message, Hint: hint}}
}

// helpHint is the hint of what was not understood.
const helpHint = "SHOW HELP lists the commands."

// command is a statement that was understood.
type command struct {
	tag     string
	columns []column // nil for an answer without rows
	// run does it; where columns is nil there are no rows.
	run func(ctx context.Context, c *conversation, say notify) ([][]any, error)
	// Of transactions, which nothing here needs and drivers begin all the same.
	block blockChange
}

// notify tells the client something beside the answer.
type notify func(severity, message, hint string)

// blockChange is what a command does to the transaction block.
type blockChange uint8

const (
	blockStays blockChange = iota
	blockBegins
	blockCommits
	blockRollsBack
)

// nothing is a command that drivers send and that does nothing here.
func nothing(tag string) *command {
	return &command{tag: tag, run: func(context.Context, *conversation, notify) ([][]any, error) { return nil, nil }}
}

// understand returns what a statement asks for.
func understand(s statement) (*command, *failure) {
	switch first := s.words[0]; {
	case first.is("show"):
		return understandShow(s)
	case first.is("flush"):
		return understandFlush(s)
	case first.is("explain"):
		return understandExplain(s)
	case first.is("pause") && len(s.words) == 1:
		return &command{tag: "PAUSE", run: pause}, nil
	case first.is("resume") && len(s.words) == 1:
		return &command{tag: "RESUME", run: resume}, nil
	case first.is("reload") && len(s.words) == 1:
		return &command{tag: "RELOAD", run: reload}, nil
	}
	if c := understandSession(s); c != nil {
		return c, nil
	}
	return nil, unknown(s)
}

// understandSession returns what drivers say to every server, nil for anything else.
func understandSession(s statement) *command {
	first := s.words[0]
	switch {
	case first.is("begin"), first.is("start") && len(s.words) > 1 && s.words[1].is("transaction"):
		c := nothing("BEGIN")
		c.block = blockBegins
		return c
	case first.is("commit"), first.is("end"):
		c := nothing("COMMIT")
		c.block = blockCommits
		return c
	case first.is("rollback"), first.is("abort"):
		c := nothing("ROLLBACK")
		c.block = blockRollsBack
		return c
	case first.is("set") && driverSetting(s.words[1:]):
		return nothing("SET")
	case first.is("discard") && len(s.words) == 2 && s.words[1].is("all"):
		return nothing("DISCARD ALL")
	}
	return nil
}

// driverSetting tells whether SET is for one of the settings that drivers set for themselves, without effect on the console. Whoever
// means to change pgrecall by SET must not believe that he did.
func driverSetting(words []word) bool {
	if len(words) > 1 && (words[0].is("session") || words[0].is("local")) {
		words = words[1:]
	}
	if len(words) == 0 {
		return false
	}
	name, _, _ := strings.Cut(words[0].text, "=")
	switch name {
	case "application_name", "bytea_output", "characteristics", "client_min_messages", "datestyle", "extra_float_digits", "intervalstyle",
		"lock_timeout", "search_path", "standard_conforming_strings", "statement_timeout", "timezone", "time", "transaction":
		return true
	}
	return false
}

// unknown is the error of a statement that means nothing here.
func unknown(s statement) *failure {
	f := fail(codeSyntax, fmt.Sprintf("unknown command %q", shorten(s.words)), helpHint)
	switch first := s.words[0]; {
	case first.is("select"), first.is("with"), first.is("insert"), first.is("update"), first.is("delete"):
		f.Detail = "This is pgrecall's console: it is no database and knows no queries."
	case first.is("set"):
		f.Detail = "The console has no settings. pgrecall's are in its configuration, and RELOAD reads that anew."
	case len(s.words) > 1 && (first.is("pause") || first.is("resume") || first.is("reload")):
		f.Message = fmt.Sprintf("syntax error at or near %q", shorten(s.words[1:]))
		f.Hint = strings.ToUpper(first.text) + " stands alone."
	}
	return f
}

// shorten returns the beginning of what was said, for a message.
func shorten(words []word) string {
	var b strings.Builder
	for i, w := range words {
		if i == 2 || b.Len() > 40 {
			break
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w.text)
	}
	out := b.String()
	for len(out) > 60 || !utf8.ValidString(out) && len(out) > 0 {
		_, n := utf8.DecodeLastRuneInString(out)
		out = out[:len(out)-n]
	}
	return out
}

// understandShow reads SHOW what [LIMIT n].
func understandShow(s statement) (*command, *failure) {
	if len(s.words) == 1 {
		return nil, fail(codeSyntax, "SHOW what?", helpHint)
	}
	for _, sh := range shows() {
		if !s.words[1].is(strings.ToLower(sh.name)) {
			continue
		}
		limit, rest := sh.limit, s.words[2:]
		if limit > 0 && len(rest) == 2 && rest[0].is("limit") {
			n, err := strconv.Atoi(rest[1].text)
			if err != nil || n < 1 || n > mostRows {
				return nil, fail(codeInvalidValue, fmt.Sprintf("LIMIT: want a number from 1 to %d", mostRows), "")
			}
			limit, rest = n, nil
		}
		if len(rest) > 0 {
			return nil, fail(codeSyntax, fmt.Sprintf("syntax error at or near %q", shorten(rest)), helpHint)
		}
		return &command{tag: "SHOW", columns: sh.columns, run: func(_ context.Context, c *conversation, _ notify) ([][]any, error) {
			return sh.rows(c.server, limit), nil
		}}, nil
	}
	return nil, fail(codeSyntax, fmt.Sprintf("unknown command %q", shorten(s.words)), helpHint)
}

// understandFlush reads FLUSH ALL, or any of TABLE t, FINGERPRINT f, TENANT x and DATABASE d.
func understandFlush(s statement) (*command, *failure) {
	const usage = "FLUSH ALL, or any of TABLE t, FINGERPRINT f, TENANT x, DATABASE d"
	words := s.words[1:]
	var what admin.Selection
	if len(words) == 1 && words[0].is("all") {
		return flushOf(what), nil
	}
	seen := map[string]bool{}
	for len(words) > 1 && !seen[words[0].text] {
		value := words[1].text
		seen[words[0].text] = true
		switch {
		case value == "":
			return nil, fail(codeInvalidValue, "FLUSH: an empty name", usage)
		case words[0].is("table"):
			what.Table = value
		case words[0].is("tenant"):
			what.Tenant = value
		case words[0].is("database"):
			what.Database = value
		case words[0].is("fingerprint"):
			n, err := strconv.ParseUint(value, 16, 64)
			if err != nil || n == 0 {
				return nil, fail(codeInvalidValue, "fingerprint: not a hexadecimal number of 64 bits", "SHOW STATEMENTS shows fingerprints.")
			}
			what.Fingerprint = n
		default:
			return nil, fail(codeSyntax, fmt.Sprintf("syntax error at or near %q", shorten(words)), usage)
		}
		words = words[2:]
	}
	if len(words) > 0 {
		return nil, fail(codeSyntax, fmt.Sprintf("syntax error at or near %q", shorten(words)), usage)
	}
	if len(seen) == 0 {
		return nil, fail(codeSyntax, "FLUSH what?", usage)
	}
	return flushOf(what), nil
}

// understandExplain reads EXPLAIN [DATABASE d] [USER u] sql.
func understandExplain(s statement) (*command, *failure) {
	var q Question
	words, end := s.words[1:], s.words[0].end
	for len(words) > 1 {
		switch {
		case words[0].is("database") && q.Database == "":
			q.Database = words[1].text
		case words[0].is("user") && q.User == "":
			q.User = words[1].text
		default:
			q.SQL = s.text[end:] // the comments before the first word, too
			return explainOf(q), nil
		}
		end, words = words[1].end, words[2:]
	}
	if len(words) == 0 {
		return nil, fail(codeSyntax, "EXPLAIN what?", "EXPLAIN [DATABASE d] [USER u] followed by a statement.")
	}
	q.SQL = s.text[end:]
	return explainOf(q), nil
}
