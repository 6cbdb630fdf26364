package soak

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// dice make the choices of one client in one round.
type dice struct{ *rand.Rand }

// roll returns the dice of a client. Equal arguments give equal choices.
func roll(seed uint64, epoch, round, client int) dice {
	return dice{rand.New(rand.NewPCG(seed, uint64(epoch)<<40|uint64(round)<<16|uint64(client)))}
}

// oneIn is true once in n times.
func (d dice) oneIn(n int) bool { return d.IntN(n) == 0 }

func (d dice) pick(of []string) string { return of[d.IntN(len(of))] }

// small returns an id that is likely to exist: 1 to 12, the lower ones more often.
func (d dice) small() int { return 1 + d.IntN(1+d.IntN(1+d.IntN(12))) }

// smalls returns small numbers that are often the same, so that statements are met again.
func (d dice) smalls() func() int {
	n := d.small()
	return func() int {
		if d.oneIn(8) {
			return d.small()
		}
		return n
	}
}

// fill puts small numbers for the question marks of a template.
func (d dice) fill(template string) string {
	var b strings.Builder
	small := d.smalls()
	for {
		before, after, found := strings.Cut(template, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString(strconv.Itoa(small()))
		template = after
	}
}

// number makes parameters ($1) of a template's question marks and returns how many there are.
func number(template string) (text string, parameters int) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(template, "?")
		b.WriteString(before)
		if !found {
			return b.String(), parameters
		}
		parameters++
		b.WriteString("$" + strconv.Itoa(parameters))
		template = after
	}
}
