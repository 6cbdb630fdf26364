package wire

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// mainConnection is the connection of steps that name none.
const mainConnection = "main"

// verb says what a step does.
type verb string

const (
	verbSetup   verb = "setup"   // runs SQL straight at PostgreSQL, as superuser, before all else
	verbConnect verb = "connect" // opens a connection
	verbSend    verb = "send"    // sends messages in one write
	verbUntil   verb = "until"   // receives messages until the listed ones came, in order
	verbCancel  verb = "cancel"  // sends a CancelRequest for a connection
	verbClose   verb = "close"   // closes a connection without a Terminate
	verbRepeat  verb = "repeat"  // begins a block that runs twice when warm
	verbEnd     verb = "end"     // ends it
	verbExpect  verb = "expect"  // checks the number of hits since the last check
)

// step is one step of a script.
type step struct {
	verb       verb
	connection string
	raw        bool              // connect: without a start-up packet
	parameters map[string]string // connect: of the start-up packet
	hits       uint64            // expect
	input      []string          // lines above ----
	golden     []string          // lines below ----
	line       int               // of the verb, from 1
	goldenAt   int               // index of the first line of golden in the script's lines
}

// script is a parsed script.
type script struct {
	lines []string
	steps []step
}

// parse parses the text of a script. Errors begin with the number of a line.
func parse(text string) (*script, error) {
	s := &script{lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n")}
	for at := 0; at < len(s.lines); {
		line := strings.TrimSpace(s.lines[at])
		if line == "" || strings.HasPrefix(line, "#") {
			at++
			continue
		}
		parsed, err := parseVerb(strings.Fields(line))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", at+1, err)
		}
		parsed.line = at + 1
		at++
		if parsed.hasInput() {
			if at, err = s.parseInput(&parsed, at); err != nil {
				return nil, fmt.Errorf("line %d: %w", parsed.line, err)
			}
		}
		s.steps = append(s.steps, parsed)
	}
	return s, s.check()
}

func (st *step) hasInput() bool {
	return st.verb == verbSetup || st.verb == verbSend || st.verb == verbUntil
}

// parseInput reads the lines from at to ---- and those below it to an empty line; it returns the
// index of the line after them.
func (s *script) parseInput(st *step, at int) (int, error) {
	for ; at < len(s.lines) && s.lines[at] != "----"; at++ {
		st.input = append(st.input, s.lines[at])
	}
	if at == len(s.lines) {
		return at, errors.New("no ---- below")
	}
	at++
	st.goldenAt = at
	for ; at < len(s.lines) && strings.TrimSpace(s.lines[at]) != ""; at++ {
		st.golden = append(st.golden, s.lines[at])
	}
	if len(st.golden) > 0 && st.verb != verbUntil {
		return at, errors.New("only until has output")
	}
	return at, nil
}

// parseVerb parses the first line of a step.
func parseVerb(words []string) (step, error) {
	st := step{verb: verb(words[0]), connection: mainConnection}
	arguments := words[1:]
	switch st.verb {
	case verbSetup, verbRepeat, verbEnd:
		if len(arguments) > 0 {
			return st, fmt.Errorf("%s takes no argument", st.verb)
		}
	case verbSend, verbUntil, verbCancel, verbClose:
		if len(arguments) > 1 {
			return st, fmt.Errorf("%s takes one connection at most", st.verb)
		}
		if len(arguments) == 1 {
			st.connection = arguments[0]
		}
	case verbExpect:
		if len(arguments) != 2 || arguments[0] != "hits" {
			return st, errors.New("expect hits N")
		}
		var err error
		if st.hits, err = strconv.ParseUint(arguments[1], 10, 32); err != nil {
			return st, err
		}
	case verbConnect:
		return parseConnect(st, arguments)
	default:
		return st, fmt.Errorf("unknown step %q", words[0])
	}
	return st, nil
}

// parseConnect parses: connect NAME [raw] [parameter=value ...].
func parseConnect(st step, arguments []string) (step, error) {
	if len(arguments) == 0 {
		return st, errors.New("connect NAME [raw] [parameter=value ...]")
	}
	st.connection = arguments[0]
	st.parameters = map[string]string{}
	for _, argument := range arguments[1:] {
		if argument == "raw" {
			st.raw = true
			continue
		}
		key, value, found := strings.Cut(argument, "=")
		if !found {
			return st, fmt.Errorf("%q is no parameter=value", argument)
		}
		st.parameters[key] = value
	}
	return st, nil
}

// check checks the order of steps.
func (s *script) check() error {
	inBlock := 0
	for i, st := range s.steps {
		switch {
		case st.verb == verbSetup && i > 0:
			return fmt.Errorf("line %d: setup must be the first step", st.line)
		case st.verb == verbRepeat && inBlock > 0:
			return fmt.Errorf("line %d: repeat inside the block of line %d", st.line, inBlock)
		case st.verb == verbRepeat:
			inBlock = st.line
		case st.verb == verbEnd && inBlock == 0:
			return fmt.Errorf("line %d: end without repeat", st.line)
		case st.verb == verbEnd:
			inBlock = 0
		case inBlock > 0 && st.verb != verbSend && st.verb != verbUntil:
			return fmt.Errorf("line %d: %s inside a repeat block", st.line, st.verb)
		}
	}
	if inBlock > 0 {
		return fmt.Errorf("line %d: repeat without end", inBlock)
	}
	return nil
}

// update returns the text of the script with the given output below its until steps, which
// counts the steps.
func (s *script) update(outputs map[int][]string) string {
	var text strings.Builder
	written := 0
	for i, st := range s.steps {
		if st.verb != verbUntil {
			continue
		}
		for _, line := range s.lines[written:st.goldenAt] {
			text.WriteString(line + "\n")
		}
		for _, line := range outputs[i] {
			text.WriteString(line + "\n")
		}
		written = st.goldenAt + len(st.golden)
	}
	for _, line := range s.lines[written:] {
		text.WriteString(line + "\n")
	}
	return text.String()
}
