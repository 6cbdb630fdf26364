package bus

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pgrecall/pgrecall/invalidator"
)

// state is the hash in Redis.
type state struct {
	epoch          string
	seq            uint64
	nonce          uint64
	tick           uint64
	settled        bool
	strict         []string // ids
	witnesses      []string // ids
	floor          uint64
	members        map[string]memberState
	fences         map[token]string
	lost, readable bool
}

type memberState struct {
	beat, applied, seen, nonce uint64
	awaits                     bool // all that it writes waits for the members that want it
	certain                    bool // and it knows of nobody who may have written alone
}

// memberID names the nth membership of a process. Later ones have greater names.
func memberID(p Process, n uint32) string {
	return fmt.Sprintf("%08x-%08x%08x", uint32(p), n, uint32(random()))
}

func processOf(id string) Process {
	text, _, _ := strings.Cut(id, "-")
	n, _ := strconv.ParseUint(text, 16, 32)
	return Process(n)
}

// readState reads what a script returned. What can't be read is not readable.
func readState(list []any) state {
	s := state{members: map[string]memberState{}, fences: map[token]string{}, lost: len(list) == 1}
	if len(list)%2 != 0 {
		return s
	}
	s.readable = true
	number := func(text string, base int) uint64 {
		n, err := strconv.ParseUint(text, base, 64)
		s.readable = s.readable && err == nil
		return n
	}
	for i := 0; i < len(list); i += 2 {
		key, _ := list[i].(string)
		value, _ := list[i+1].(string)
		switch {
		case key == "epoch":
			s.epoch = value
		case key == "seq":
			s.seq = number(value, 10)
		case key == "nonce":
			s.nonce = number(value, 16)
		case key == "tick":
			s.tick = number(value, 10)
		case key == "strict":
			s.strict = strings.Fields(value)
		case key == "witnesses":
			s.witnesses = strings.Fields(value)
		case key == "floor":
			s.floor = number(value, 10)
		case key == "settled":
			s.settled = value == "1"
		case strings.HasPrefix(key, "m:"):
			var m memberState
			if fields := strings.Fields(value); len(fields) == 5 {
				m = memberState{number(fields[0], 10), number(fields[1], 10), number(fields[2], 10), number(fields[3], 16), fields[4] != "0", fields[4] == "2"}
			} else {
				s.readable = false
			}
			s.members[key[2:]] = m
		case strings.HasPrefix(key, "o:"):
			process, rest, _ := strings.Cut(key[2:], "-")
			s.fences[token{Process(number(process, 16)), number(rest, 16)}] = value
		}
	}
	s.readable = s.readable && s.epoch != ""
	return s
}

// position returns the log's end.
func (s *state) position(epoch uint64) invalidator.Position {
	return invalidator.Position{Epoch: epoch, Seq: s.seq, Nonce: s.nonce}
}
