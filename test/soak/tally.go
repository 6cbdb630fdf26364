package soak

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// tally counts what one client did.
type tally struct {
	kinds      map[string]*count // of reads, by kind of unit
	errors     map[string]int    // SQLSTATEs of answers that were compared, or that writers got
	controls   int               // other cycles that were compared
	unproven   int               // differences that two writes in a row can explain
	reconnects int
	writes     map[string]int // writers' actions by kind
	failed     map[string]int // of these, those with an error
}

type count struct{ equal, inconclusive int }

func newTally() *tally {
	return &tally{kinds: map[string]*count{}, errors: map[string]int{}, writes: map[string]int{}, failed: map[string]int{}}
}

func (t *tally) kind(u *unit) *count {
	c := t.kinds[u.kind]
	if c == nil {
		c = &count{}
		t.kinds[u.kind] = c
	}
	return c
}

func (t *tally) equal(u *unit, c *cycle, a answer) {
	if c.reads == 0 {
		t.controls++
		return
	}
	t.kind(u).equal += c.reads
	if code := a.code(); code != "" {
		t.errors[code]++
	}
}

func (t *tally) inconclusive(u *unit, c *cycle) {
	if c.reads > 0 {
		t.kind(u).inconclusive += c.reads
	}
}

// wrote notes an action of a writer and its first error's SQLSTATE.
func (t *tally) wrote(kind, code string) {
	t.writes[kind]++
	if code != "" {
		t.failed[kind+" "+code]++
	}
}

// add adds another's figures.
func (t *tally) add(o *tally) {
	for kind, c := range o.kinds {
		mine := t.kind(&unit{kind: kind})
		mine.equal += c.equal
		mine.inconclusive += c.inconclusive
	}
	sum := func(into, from map[string]int) {
		for k, n := range from {
			into[k] += n
		}
	}
	sum(t.errors, o.errors)
	sum(t.writes, o.writes)
	sum(t.failed, o.failed)
	t.controls += o.controls
	t.unproven += o.unproven
	t.reconnects += o.reconnects
}

// checked returns how many reads had equal answers everywhere, and how many could not be judged.
func (t *tally) checked() (equal, inconclusive int) {
	for _, c := range t.kinds {
		equal += c.equal
		inconclusive += c.inconclusive
	}
	return equal, inconclusive
}

// report prints the figures.
func (t *tally) report(w io.Writer) {
	fmt.Fprintf(w, "%-12s %10s %12s\n", "reads", "checked", "inconclusive")
	for _, kind := range slices.Sorted(maps.Keys(t.kinds)) {
		fmt.Fprintf(w, "%-12s %10d %12d\n", kind, t.kinds[kind].equal, t.kinds[kind].inconclusive)
	}
	list := func(title string, of map[string]int) {
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(of)) {
			parts = append(parts, fmt.Sprintf("%s %d", k, of[k]))
		}
		fmt.Fprintf(w, "%s: %s\n", title, strings.Join(parts, ", "))
	}
	list("errors among the answers that were compared", t.errors)
	list("writes", t.writes)
	list("writes with an error", t.failed)
	fmt.Fprintf(w, "other commands compared: %d; sessions started anew: %d; differences that two writes in a row explain: %d\n", t.controls, t.reconnects, t.unproven)
}
