package soak

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// errDifference says that pgrecall gave a wrong answer; a file tells more.
var errDifference = errors.New("pgrecall's answer differs from the server's")

// finding is a difference between the answers of the three sessions.
type finding struct {
	reader  *reader
	what    string
	unit    *unit
	cycle   int
	answers [3]answer
	began   time.Duration
	ended   time.Duration
	proof   string
}

// judge decides whether a difference is one: two transactions that cancel each other out, with the read through pgrecall between them, explain it
// as well; so do definitions and rights, which sessions learn of one after the other. Then the unit is asked again, in a shorter time.
func (r *reader) judge(f *finding) error {
	if commits, definition := r.field.ledger.overlap(f.began, f.ended); commits <= 1 && !definition {
		f.proof = "at most one transaction in that time"
		return r.field.finding(f)
	}
	for again := 1; again <= 20 && !f.unit.control; again++ {
		began := r.field.ledger.now()
		var answers [3][]answer
		for i := range r.sessions {
			var err error
			if answers[i], err = r.exchange(i, []unit{*f.unit}, true); err != nil {
				return r.field.finding(f)
			}
		}
		ended := r.field.ledger.now()
		direct, ours, last := answers[0][f.cycle], answers[proxied][f.cycle], answers[2][f.cycle]
		if commits, definition := r.field.ledger.overlap(began, ended); commits > 1 || definition || !bytes.Equal(direct, last) {
			continue
		}
		if bytes.Equal(direct, ours) {
			break
		}
		f.proof = fmt.Sprintf("again the %d. time, with at most one transaction from %.6f to %.6f", again, began.Seconds(), ended.Seconds())
		f.answers = [3]answer{direct, ours, last}
		return r.field.finding(f)
	}
	r.tally.unproven++
	return r.field.unproven(f)
}

// finding keeps what is known of a difference in a file and returns an error that names it.
func (f *field) finding(what *finding) error {
	f.stop()
	path, err := f.keep("difference", what)
	return fmt.Errorf("%w (%s): %s\nPGRECALL_SEED=%d, epoch %d, %s as %s: %s\n      direct: %s\n    pgrecall: %s\ndirect again: %s", errors.Join(errDifference, err),
		what.what, path, f.seed, f.epoch, what.reader.name, what.reader.user, what.unit.text(), brief(what.answers[0]), brief(what.answers[1]), brief(what.answers[2]))
}

// unproven keeps the first of the differences that prove nothing, for people to look at.
func (f *field) unproven(what *finding) error {
	if f.doubts.Add(1) > 10 {
		return nil
	}
	_, err := f.keep("unproven", what)
	return err
}

// keep writes a file into a directory that outlives the test.
func (f *field) keep(kind string, what *finding) (path string, err error) {
	if err := os.MkdirAll(f.directory, 0o755); err != nil {
		return "", err
	}
	path = filepath.Join(f.directory, fmt.Sprintf("%s-%d-%d-%d.txt", kind, f.seed, f.epoch, what.reader.number))
	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	fmt.Fprintf(file, "%s: %s\nseed %d, epoch %d, database %s, %s, user %s\nbetween %.6f and %.6f; %s\n", kind, what.what, f.seed, f.epoch, f.database,
		what.reader.name, what.reader.user, what.began.Seconds(), what.ended.Seconds(), what.proof)
	for i := range what.unit.cycles {
		mark := "  "
		if i == what.cycle {
			mark = "> "
		}
		fmt.Fprintf(file, "%s%s\n", mark, what.unit.cycles[i].text)
	}
	for i, a := range what.answers {
		fmt.Fprintf(file, "\n%s:\n%s\n", places[i], a)
	}
	fmt.Fprintf(file, "\n== schema\n%s;\n", strings.Join(f.world.setup, ";\n"))
	return path, f.ledger.dump(file)
}

func (u *unit) text() string {
	var texts []string
	for i := range u.cycles {
		texts = append(texts, u.cycles[i].text)
	}
	return strings.Join(texts, " | ")
}

func brief(a answer) string {
	const most = 600
	s := a.String()
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
