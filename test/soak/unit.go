package soak

import (
	"encoding/binary"
	"strconv"
	"strings"

	pg "github.com/jackc/pgx/v5/pgproto3"
)

// cycle is what a client sends up to an answer that ends in ReadyForQuery.
type cycle struct {
	text   string // for people
	packet []byte
	reads  int // how many statements count as checked
}

// unit is a sequence of cycles that leaves the session as it was, apart from what a control unit is there to change.
type unit struct {
	kind    string // for the report
	cycles  []cycle
	control bool // changes the session: can't be repeated, and must not see definitions change between the three sessions
	private bool // makes temporary tables
}

// encode returns the messages as bytes. They come from this package: encoding can't fail but by a defect.
func encode(messages ...pg.FrontendMessage) []byte {
	var packet []byte
	for _, m := range messages {
		var err error
		if packet, err = m.Encode(packet); err != nil {
			panic(err)
		}
	}
	return packet
}

func simple(text string) cycle { return cycle{text: text, packet: encode(&pg.Query{String: text})} }

func simpleRead(text string) cycle {
	c := simple(text)
	c.reads = 1
	return c
}

func simples(kind string, texts ...string) unit {
	u := unit{kind: kind}
	for _, text := range texts {
		u.cycles = append(u.cycles, simple(text))
	}
	return u
}

// binding are the values and formats of one execution of a prepared statement.
type binding struct {
	pg.Bind
	show string
}

// bind makes values for so many parameters, all of them small integers.
func (d dice) bind(statement, portal string, parameters int, binary4 bool) *binding {
	b := &binding{Bind: pg.Bind{PreparedStatement: statement, DestinationPortal: portal}}
	if binary4 && d.oneIn(8) {
		b.ParameterFormatCodes = []int16{1}
	}
	var shown []string
	small := d.smalls()
	for range parameters {
		n := small()
		shown = append(shown, strconv.Itoa(n))
		if len(b.ParameterFormatCodes) > 0 {
			b.Parameters = append(b.Parameters, binary.BigEndian.AppendUint32(nil, uint32(n)))
		} else {
			b.Parameters = append(b.Parameters, []byte(strconv.Itoa(n)))
		}
	}
	if parameters == 0 {
		b.ParameterFormatCodes = nil
	}
	b.ResultFormatCodes = [][]int16{nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, {0}, {1}, {1}}[d.IntN(16)]
	b.show = "<- " + statement + " (" + strings.Join(shown, ", ") + ")"
	if len(b.ResultFormatCodes) > 0 {
		b.show += " formats " + strconv.Itoa(int(b.ResultFormatCodes[0]))
	}
	return b
}

// parse makes the Parse message of a template; typed tells that it says what types the parameters have.
func parse(name, template string, typed bool) (message *pg.Parse, parameters int) {
	text, n := number(template)
	message = &pg.Parse{Name: name, Query: text}
	if typed {
		for range n {
			message.ParameterOIDs = append(message.ParameterOIDs, 23)
		}
	}
	return message, n
}

// typed tells whether a driver says what types the parameters of a template have: always or never, so that statements are met again.
func typed(template string) bool { return len(template)%2 == 0 }

// execution returns the messages from Bind to Execute.
func (d dice) execution(b *binding) []pg.FrontendMessage {
	messages := []pg.FrontendMessage{&b.Bind}
	if !d.oneIn(4) {
		messages = append(messages, &pg.Describe{ObjectType: 'P', Name: b.DestinationPortal})
	}
	execute := &pg.Execute{Portal: b.DestinationPortal}
	messages = append(messages, execute)
	if d.oneIn(100) {
		execute.MaxRows = 2
		messages = append(messages, &pg.Execute{Portal: b.DestinationPortal})
	}
	return messages
}

// unnamed reads in the extended protocol with the unnamed statement, in one cycle or, as drivers that describe first do, perhaps in two.
func (d dice) unnamed(template string, described bool) unit {
	p, n := parse("", template, typed(template))
	b := d.bind("", "", n, typed(template))
	sync := &pg.Sync{}
	if described && d.oneIn(3) {
		return unit{kind: "described", cycles: []cycle{
			{text: "Parse, Describe " + p.Query, packet: encode(p, &pg.Describe{ObjectType: 'S'}, sync)},
			{text: "Bind, Execute " + b.show, packet: encode(append(d.execution(b), sync)...), reads: 1},
		}}
	}
	messages := append([]pg.FrontendMessage{p}, d.execution(b)...)
	return unit{kind: "unnamed", cycles: []cycle{{text: "Parse, Bind, Execute " + p.Query + " " + b.show, packet: encode(append(messages, sync)...), reads: 1}}}
}

// pair executes two statements in one cycle.
func (d dice) pair(one, other string) unit {
	p1, n1 := parse("", one, true)
	p2, n2 := parse("", other, true)
	b1, b2 := d.bind("", "x", n1, true), d.bind("", "", n2, true)
	messages := append([]pg.FrontendMessage{p1}, d.execution(b1)...)
	messages = append(append(messages, p2), d.execution(b2)...)
	messages = append(messages, &pg.Close{ObjectType: 'P', Name: "x"}, &pg.Sync{})
	return unit{kind: "pair", cycles: []cycle{{text: "pair " + p1.Query + " " + b1.show + " and " + p2.Query + " " + b2.show, packet: encode(messages...), reads: 2}}}
}
