package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrecall/pgrecall/test"
)

// entry is a frame of a transcript with the connection that received it and the step that
// waited for it (-1: none did, it came after the last step).
type entry struct {
	frame
	connection string
	step       int
}

// run is one way of running a script.
type run struct {
	script     *script
	target     test.Target
	database   string
	passes     int // of repeat blocks
	checkHits  bool
	sessions   map[string]*session
	transcript []entry
	hits       uint64 // at the last check
}

// play runs all steps but setup and returns the transcript. A repeat block with several
// passes must answer the same in each; it is in the transcript once.
func (r *run) play(ctx context.Context) (_ []entry, err error) {
	r.sessions = map[string]*session{}
	defer func() {
		for _, s := range r.sessions {
			err = errors.Join(err, s.close())
		}
	}()
	if err := r.connectMain(ctx); err != nil {
		return nil, err
	}
	r.hits = r.countHits()
	steps := r.script.steps
	for at := 0; at < len(steps); at++ {
		if steps[at].verb != verbRepeat {
			if err := r.step(ctx, at); err != nil {
				return r.transcript, fmt.Errorf("line %d: %w", steps[at].line, err)
			}
			continue
		}
		end := at + slices.IndexFunc(steps[at:], func(st step) bool { return st.verb == verbEnd })
		if err := r.repeat(ctx, at, end); err != nil {
			return r.transcript, err
		}
		at = end
	}
	return r.transcript, r.finish()
}

// repeat runs the block between the steps begin and end.
func (r *run) repeat(ctx context.Context, begin, end int) error {
	before := len(r.transcript)
	var first []entry
	for pass := range r.passes {
		r.transcript = r.transcript[:before]
		for at := begin + 1; at < end; at++ {
			if err := r.step(ctx, at); err != nil {
				return fmt.Errorf("line %d, pass %d: %w", r.script.steps[at].line, pass+1, err)
			}
		}
		block := slices.Clone(r.transcript[before:])
		if pass == 0 {
			first = block
		} else if difference := compare(r.script, first, block); difference != "" {
			return fmt.Errorf("pass %d answers differently than pass 1: %s", pass+1, difference)
		}
	}
	return nil
}

// step runs one step.
func (r *run) step(ctx context.Context, at int) error {
	st := &r.script.steps[at]
	switch st.verb {
	case verbConnect:
		return r.connect(ctx, st, at)
	case verbSend:
		return r.send(st)
	case verbUntil:
		return r.until(st, at)
	case verbCancel, verbClose:
		s, err := r.session(st.connection)
		if err != nil {
			return err
		}
		if st.verb == verbCancel {
			return s.cancel(ctx)
		}
		delete(r.sessions, st.connection)
		return s.close()
	case verbExpect:
		hits := r.countHits()
		got := hits - r.hits
		r.hits = hits
		if r.checkHits && got != st.hits {
			return fmt.Errorf("%d hits, expected %d", got, st.hits)
		}
	case verbSetup, verbRepeat, verbEnd:
	}
	return nil
}

func (r *run) countHits() uint64 {
	if counter, ok := r.target.(test.HitCounter); ok {
		return counter.Hits()
	}
	return 0
}

// connect opens a connection and, unless it is raw, waits until it is ready.
func (r *run) connect(ctx context.Context, st *step, at int) error {
	if old, found := r.sessions[st.connection]; found {
		return fmt.Errorf("%s is connected to %s", st.connection, old.address)
	}
	s, err := dial(ctx, st.connection, r.target.Address(r.database))
	if err != nil {
		return err
	}
	r.sessions[st.connection] = s
	if st.raw {
		return nil
	}
	parameters := map[string]string{"user": "postgres", "database": r.database}
	maps.Copy(parameters, st.parameters)
	startup := &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: parameters}
	packet, err := startup.Encode(nil)
	if err != nil {
		return err
	}
	if err := s.send(packet); err != nil {
		return err
	}
	return r.receive(s, []string{"ReadyForQuery"}, at)
}

// connectMain opens the main connection unless the script does it or has no use for it.
func (r *run) connectMain(ctx context.Context) error {
	used := false
	for _, st := range r.script.steps {
		if st.connection == mainConnection && st.verb == verbConnect {
			return nil
		}
		used = used || st.connection == mainConnection && st.verb == verbSend
	}
	if !used {
		return nil
	}
	return r.connect(ctx, &step{connection: mainConnection}, -1)
}

// session returns a connection.
func (r *run) session(name string) (*session, error) {
	s, found := r.sessions[name]
	if !found {
		return nil, fmt.Errorf("no connection %s", name)
	}
	return s, nil
}

func (r *run) send(st *step) error {
	s, err := r.session(st.connection)
	if err != nil {
		return err
	}
	var messages []byte
	for _, line := range st.input {
		if line == "" || line[0] == '#' {
			continue
		}
		if line == "SSLRequest" || line == "GSSENCRequest" {
			s.answer = true
		}
		if messages, err = encode(messages, line, r.database); err != nil {
			return err
		}
	}
	return s.send(messages)
}

func (r *run) until(st *step, at int) error {
	for _, name := range st.input {
		if !known(name) {
			return fmt.Errorf("no backend message is named %q", name)
		}
	}
	s, err := r.session(st.connection)
	if err != nil {
		return err
	}
	return r.receive(s, st.input, at)
}

// receive receives until the named frames came, in this order.
func (r *run) receive(s *session, names []string, at int) error {
	for len(names) > 0 {
		f, err := s.receive()
		if err != nil {
			return fmt.Errorf("%s waits for %s: %w", s.name, names[0], err)
		}
		r.record(s, f, at)
		if frameName(f.kind) == names[0] {
			names = names[1:]
		} else if f.kind == frameEOF {
			return fmt.Errorf("%s waits for %s: the server closed the connection", s.name, names[0])
		}
	}
	return nil
}

// record adds the frame to the transcript. A notification holds the process id of its sender,
// which differs in each run; it is replaced by the sender's place among the connections. A process
// id that no connection was told stays, so that it makes a difference.
func (r *run) record(s *session, f frame, at int) {
	if f.kind == 'A' && len(f.body) >= 4 {
		for i, name := range slices.Sorted(maps.Keys(r.sessions)) {
			if pid, ok := r.sessions[name].pid(); ok && pid == binary.BigEndian.Uint32(f.body) {
				f.body = slices.Concat([]byte{0, 0, 0, byte(i)}, f.body[4:])
				break
			}
		}
	}
	r.transcript = append(r.transcript, entry{frame: f, connection: s.name, step: at})
}

// finish ends all connections and records what they had still to say.
func (r *run) finish() error {
	for _, name := range slices.Sorted(maps.Keys(r.sessions)) {
		s := r.sessions[name]
		if s.eof || s.key == nil {
			continue
		}
		terminate, err := (&pgproto3.Terminate{}).Encode(nil)
		if err != nil {
			return err
		}
		if err := s.send(terminate); err != nil {
			return err
		}
		if err := r.receive(s, []string{"EOF"}, -1); err != nil {
			return err
		}
	}
	return nil
}

// briefs returns the short form of the transcript by step.
func briefs(transcript []entry) map[int][]string {
	outputs := map[int][]string{}
	starting := map[int]bool{}
	for _, e := range transcript {
		// What a connection says when it starts is in no script, since it tells versions.
		starting[e.step] = starting[e.step] || e.kind == 'R'
		if !starting[e.step] || !strings.ContainsRune("RSKZ", rune(e.kind)) {
			outputs[e.step] = append(outputs[e.step], e.brief())
		}
		starting[e.step] = starting[e.step] && e.kind != 'Z'
	}
	return outputs
}
