package soak

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// places are where a reader's sessions are, in the order in which they are asked.
var places = [3]string{"direct", "pgrecall", "direct again"}

const proxied = 1 // index in places

// reader is a client that asks the same of three equal sessions.
type reader struct {
	name     string
	field    *field
	number   int
	user     string
	sessions [3]*connection
	drawing  *drawing
	tally    *tally
	buffers  [3][]byte
	greeting [3]answer
}

// users are whom the readers log in as: in a calm round all but one as the same, so that they can share answers.
var users = []string{"postgres", "soak_reader", "soak_tenant_1", "soak_owner", "soak_tenant_2"}

func newReader(f *field, number, round int, wild bool) *reader {
	user := users[(number+round)%len(users)]
	if !wild && number > 0 {
		user = users[round/2%len(users)]
	}
	return &reader{name: fmt.Sprintf("reader %d", number), field: f, number: number, user: user, tally: newTally()}
}

func (r *reader) close() {
	for i, c := range r.sessions {
		if c != nil {
			c.close()
			r.sessions[i] = nil
		}
	}
}

// connect starts three sessions anew, until no definition changed meanwhile: defaults of roles and rights could differ otherwise.
func (r *reader) connect() error {
	for {
		r.close()
		r.drawing.forget()
		began := r.field.ledger.now()
		for i := range r.sessions {
			address := r.field.direct
			if i == proxied {
				address = r.field.proxied
			}
			var err error
			if r.sessions[i], r.greeting[i], err = connect(r.name+" "+places[i], address, r.user, r.field.database); err != nil {
				return err
			}
		}
		if _, definition := r.field.ledger.overlap(began, r.field.ledger.now()); !definition {
			if !bytes.Equal(r.greeting[0], r.greeting[proxied]) {
				return r.field.finding(&finding{reader: r, what: "greeting", unit: &unit{}, answers: r.greeting})
			}
			return nil
		}
	}
}

// run sends batches until so many statements were asked, and reports each batch's number to progress.
func (r *reader) run(d dice, wild bool, quota int, progress func(int)) error {
	r.drawing = newDrawing(d, r.field.world, wild, r.user == "postgres")
	if err := r.connect(); err != nil {
		return err
	}
	defer r.close()
	for asked := 0; asked < quota && !r.field.stopped(); {
		var batch []unit
		reads := 0
		r.drawing.pipelined = d.oneIn(16)
		for size := 1 + d.IntN(30); reads < size; {
			u := r.drawing.next()
			for i := range u.cycles {
				reads += u.cycles[i].reads
			}
			if batch = append(batch, u); u.control {
				r.drawing.pipelined = r.drawing.pipelined && (wild || len(u.cycles) == 1)
				break // its effect must not depend on what it meets in one of the sessions
			}
		}
		if !wild && !d.oneIn(10) {
			r.field.ready() // loads of the catalog come seldom where definitions change seldom
		}
		if err := r.check(batch, r.drawing.pipelined); err != nil {
			return err
		}
		asked += reads
		progress(reads)
		if d.oneIn(400) {
			if err := r.connect(); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweep reads everything once while nothing changes.
func (r *reader) sweep(d dice) error {
	r.drawing = newDrawing(d, r.field.world, false, r.user == "postgres")
	if err := r.connect(); err != nil {
		return err
	}
	defer r.close()
	for _, pool := range [][]string{r.field.world.common, r.field.world.exotic} {
		for at := 0; at < len(pool); at += 40 {
			var batch []unit
			for _, template := range pool[at:min(at+40, len(pool))] {
				batch = append(batch, unit{kind: "sweep", cycles: []cycle{simpleRead(d.fill(template))}}, d.unnamed(template, true))
			}
			if err := r.check(batch, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// cover reads every relation while nothing changes, and what guards and functions show, always with the same values; in the
// extended protocol with statements that it prepared once, as a tenant. It returns how many statements that were.
func (r *reader) cover(d dice, extended bool) (int, error) {
	if r.drawing == nil || r.sessions[0] == nil {
		r.drawing = newDrawing(d, r.field.world, false, false)
		if err := r.connect(); err != nil {
			return 0, err
		}
	}
	if extended && r.drawing.prepared == nil {
		if err := r.prepareCover(); err != nil {
			return 0, err
		}
	}
	var batch []unit
	if extended {
		for _, s := range r.drawing.prepared {
			batch = append(batch, d.named(s))
		}
	} else {
		for _, template := range r.field.world.cover {
			batch = append(batch, unit{kind: "cover", cycles: []cycle{simpleRead(d.fill(template))}})
		}
	}
	return len(batch), r.check(batch, false)
}

// prepareCover prepares what cover reads.
func (r *reader) prepareCover() error {
	for {
		r.drawing.forget()
		batch := []unit{{kind: "control", control: true, cycles: []cycle{simple("SET app.tenant = '1'"), simple("SELECT app.look(1)")}}} // loads PL/pgSQL, which adds settings
		for _, template := range r.field.world.cover {
			batch = append(batch, r.drawing.prepare(template))
		}
		reconnects := r.tally.reconnects
		if err := r.check(batch, false); err != nil || r.tally.reconnects == reconnects {
			return err
		}
	}
}

// check sends a batch to the three sessions and compares. Pipelined tells that pgrecall gets it all at once, too.
func (r *reader) check(batch []unit, pipelined bool) error {
	began := r.field.ledger.now()
	var answers [3][]answer
	var took [3]time.Duration
	for i := range batch {
		for _, c := range r.sessions {
			c.private = c.private || batch[i].private
		}
	}
	for i := range r.sessions {
		var err error
		if answers[i], err = r.exchange(i, batch, pipelined || i != proxied); err != nil {
			return r.field.finding(&finding{reader: r, what: "no answer: " + err.Error(), unit: &batch[min(len(answers[i]), len(batch)-1)], began: began})
		}
		took[i] = r.field.ledger.now()
	}
	ended := r.field.ledger.now()
	r.note(batch, began, took)
	at := 0
	skewed := false
	for i := range batch {
		u := &batch[i]
		for j := range u.cycles {
			direct, ours, again := answers[0][at], answers[proxied][at], answers[2][at]
			at++
			switch {
			case !bytes.Equal(direct, again):
				r.tally.inconclusive(u, &u.cycles[j])
				skewed = skewed || u.control
			case bytes.Equal(direct, ours):
				r.tally.equal(u, &u.cycles[j], direct)
			default:
				f := &finding{reader: r, what: "difference", unit: u, cycle: j, answers: [3]answer{direct, ours, again}, began: began, ended: ended}
				if err := r.judge(f); err != nil {
					return err
				}
				skewed = true
			}
		}
		if u.control && !skewed {
			_, skewed = r.field.ledger.overlap(began, ended)
		}
	}
	if skewed || r.sessions[0].status != r.sessions[proxied].status || r.sessions[0].status != 'I' {
		r.tally.reconnects++
		return r.connect()
	}
	return nil
}

// exchange sends a batch to one session and returns an answer for each cycle, which stay valid until the next exchange.
func (r *reader) exchange(i int, batch []unit, pipelined bool) ([]answer, error) {
	c := r.sessions[i]
	r.buffers[i] = r.buffers[i][:0]
	answers := make([]answer, 0, 2*len(batch))
	receive := func() error {
		a, err := c.receive(r.buffers[i])
		if err != nil {
			return err
		}
		answers = append(answers, a)
		r.buffers[i] = a[len(a):] // the rest of the same array
		return nil
	}
	var packet []byte
	for k := range batch {
		for j := range batch[k].cycles {
			if pipelined {
				packet = append(packet, batch[k].cycles[j].packet...)
				continue
			}
			if err := c.send(batch[k].cycles[j].packet); err != nil {
				return answers, err
			}
			if err := receive(); err != nil {
				return answers, err
			}
		}
	}
	if !pipelined {
		return answers, nil
	}
	// What is sent must fit the buffers between, since nothing is read meanwhile.
	if err := c.send(packet); err != nil {
		return answers, err
	}
	for k := range batch {
		for range batch[k].cycles {
			if err := receive(); err != nil {
				return answers, err
			}
		}
	}
	return answers, nil
}

func (r *reader) note(batch []unit, began time.Duration, took [3]time.Duration) {
	var b strings.Builder
	for i := range batch {
		for j := range batch[i].cycles {
			b.WriteString(batch[i].cycles[j].text)
			b.WriteString(" | ")
		}
	}
	r.field.ledger.read(r.name+" "+r.user, b.String(), began, fmt.Sprintf("direct %.6f pgrecall %.6f", took[0].Seconds(), took[1].Seconds()))
}
