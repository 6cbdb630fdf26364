package soak

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	pg "github.com/jackc/pgx/v5/pgproto3"
)

// writer changes the database through pgrecall.
type writer struct {
	name   string
	field  *field
	number int
	dice   dice
	// frequent tells that definitions change often, and that much is done that nobody can see through.
	frequent bool
	tally    *tally
	values   int // given out so far

	main, spare *connection
}

// step is one message sequence of an action with an answer that ends in ReadyForQuery.
type step struct {
	text       string
	packet     []byte
	commits    int  // how many transactions may become visible by it
	definition bool // these change definitions
	spare      bool // in the other session
	vain       bool // fails most of the time
}

// valuesPerRound is how many values a writer can give out in one round.
const valuesPerRound = 100_000

func newWriter(f *field, number, round int) *writer {
	return &writer{name: fmt.Sprintf("writer %d", number), field: f, number: number, tally: newTally(), values: round * valuesPerRound}
}

func (w *writer) connect() error {
	w.close()
	for _, c := range []**connection{&w.main, &w.spare} {
		user := "postgres"
		if w.number%3 == 2 && c == &w.main {
			user = "soak_writer"
		}
		var err error
		if *c, _, err = connect(w.name, w.field.proxied, user, w.field.database, "options", "-c lock_timeout=150ms -c statement_timeout=20s"); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) close() {
	for _, c := range []**connection{&w.main, &w.spare} {
		if *c != nil {
			(*c).close()
			*c = nil
		}
	}
}

// run acts once per so many reads of the readers, until these are done.
func (w *writer) run(d dice, frequent bool, every int, pace *pace) error {
	w.dice, w.frequent = d, frequent
	if err := w.connect(); err != nil {
		return err
	}
	defer w.close()
	for turn := 1; pace.until(turn*every) && !w.field.stopped(); turn++ {
		if err := w.act(w.action()); err != nil {
			return err
		}
		if d.oneIn(150) {
			if err := w.connect(); err != nil {
				return err
			}
		}
	}
	return nil
}

// mend restores what a wild round has broken.
func (w *writer) mend(d dice) error {
	w.dice = d
	if err := w.connect(); err != nil {
		return err
	}
	defer w.close()
	for _, statement := range mend {
		s := w.many(w.text(statement))
		s.definition = true
		if err := w.act("mend", []step{s}); err != nil {
			return err
		}
	}
	return nil
}

// act sends the steps one after the other and sees to it that no transaction stays open.
func (w *writer) act(kind string, steps []step) error {
	failed := ""
	send := func(s step) error {
		c := w.main
		if s.spare {
			c = w.spare
		}
		number := w.field.ledger.begin(action{client: c.name, text: s.text, commits: s.commits, definition: s.definition})
		err := c.send(s.packet)
		var a answer
		if err == nil {
			a, err = c.receive(nil)
		}
		code := a.code()
		if err == nil {
			w.field.ledger.end(number, code)
		}
		if failed == "" && !s.vain {
			failed = code
		}
		return err
	}
	for _, s := range steps {
		if err := send(s); err != nil {
			return err
		}
	}
	w.tally.wrote(kind, failed)
	if w.main.status != 'I' {
		return send(step{text: "ROLLBACK", packet: encode(&pg.Query{String: "ROLLBACK"})})
	}
	return nil
}

// action makes up what the writer does next.
func (w *writer) action() (kind string, steps []step) {
	d := w.dice
	definitions, opaque := 400, 300
	if w.frequent {
		definitions, opaque = 6, 8
	}
	switch {
	case d.oneIn(definitions):
		return "definition", w.definition()
	case d.oneIn(opaque):
		if d.oneIn(3) {
			return "two-phase", w.twoPhase()
		}
		if d.oneIn(3) {
			return "routine", []step{w.routine(true)}
		}
		return "opaque", []step{w.many(w.text(d.pick(opaqueWrites)))}
	}
	switch n := d.IntN(100); {
	case n < 50:
		return "row", []step{w.one(w.row(), d.oneIn(2))}
	case n < 60:
		return "other", []step{w.many(w.text(d.pick(otherWrites)))}
	case n < 68:
		return "routine", []step{w.routine(false)}
	case n < 92:
		if n < 85 {
			return "block", w.block()
		}
		return "copy", []step{w.copy()}
	case n < 96:
		return "pipeline", []step{w.pipeline()}
	}
	return "cursor", w.cursor()
}

func (w *writer) row() string {
	if w.field.world.version >= 15 && w.dice.oneIn(15) {
		return w.dice.pick(mergeWrites)
	}
	return w.dice.pick(rowWrites)
}

// routine calls a function that writes. Those that nobody can see through are for wild rounds, mostly.
func (w *writer) routine(opaque bool) step {
	for {
		r := w.field.world.routines[w.dice.IntN(len(w.field.world.routines))]
		template := strings.ReplaceAll(w.dice.pick(routineWrites), "{f}", r.name)
		if opaque || w.frequent || !r.opaque && !strings.Contains(template, "DO $$") && !strings.Contains(template, "EXECUTE") && !strings.Contains(template, "TEMP") {
			return w.many(w.text(template))
		}
		if w.dice.oneIn(20) { // all of them may be such
			return w.many(w.text("SELECT 1"))
		}
	}
}

// many is a step that may commit several times.
func (w *writer) many(text string) step {
	return step{text: text, packet: encode(&pg.Query{String: text}), commits: 2}
}

func (w *writer) query(text string, commits int) step {
	return step{text: text, packet: encode(&pg.Query{String: text}), commits: commits}
}

// one is a statement that commits itself, in either protocol.
func (w *writer) one(template string, extended bool) step {
	if !extended {
		return w.query(w.text(template), 1)
	}
	text, bind := w.parameters(template)
	return step{
		text: text + " " + bind.show, commits: 1,
		packet: encode(&pg.Parse{Query: text, ParameterOIDs: integers(len(bind.Parameters))}, &bind.Bind, &pg.Execute{}, &pg.Sync{}),
	}
}

func (w *writer) definition() []step {
	text := w.text(w.dice.pick(definitions))
	if w.dice.oneIn(5) && !strings.Contains(text, "BEGIN;") && !strings.Contains(text, "CONCURRENTLY") && !strings.HasPrefix(text, "VACUUM") {
		steps := []step{w.query("BEGIN", 0), w.one(w.row(), false), w.query(text, 0), w.one(w.row(), false), w.query(w.dice.pick([]string{"COMMIT", "COMMIT", "ROLLBACK"}), 1)}
		for i := range steps[:4] {
			steps[i].commits = 0
		}
		steps[4].definition = true
		return steps
	}
	s := w.many(text)
	s.definition = true
	return []step{s}
}

func (w *writer) block() []step {
	d := w.dice
	steps := []step{w.query(d.pick([]string{"BEGIN", "BEGIN", "START TRANSACTION", "BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN ISOLATION LEVEL SERIALIZABLE"}), 0)}
	writes := func(n int) {
		for range 1 + d.IntN(n) {
			s := w.one(w.row(), d.oneIn(2))
			s.commits = 0
			steps = append(steps, s)
		}
	}
	if d.oneIn(4) {
		steps = append(steps, w.query(fmt.Sprintf("SET LOCAL app.tenant = '%d'", d.IntN(3)), 0))
	}
	if d.oneIn(10) {
		steps = append(steps, w.query("SET CONSTRAINTS ALL "+d.pick([]string{"DEFERRED", "IMMEDIATE"}), 0))
	}
	writes(3)
	if d.oneIn(3) {
		steps = append(steps, w.query("SAVEPOINT a", 0))
		writes(2)
		steps = append(steps, w.query(d.pick([]string{"ROLLBACK TO a", "ROLLBACK TO a", "RELEASE a"}), 0))
		writes(1)
	}
	switch d.IntN(10) {
	case 0, 1:
		return append(steps, w.query("ROLLBACK", 0))
	case 2:
		return append(steps, w.query("COMMIT AND CHAIN", 1), w.query(w.text(d.pick(rowWrites)), 0), w.query("COMMIT", 1))
	case 3:
		return append(steps, step{text: "COMMIT (extended)", commits: 1, packet: encode(&pg.Parse{Query: "COMMIT"}, &pg.Bind{}, &pg.Execute{}, &pg.Sync{})})
	case 4: // with another write behind it in one message
		return append(steps, w.many(w.text(d.pick(rowWrites))+"; COMMIT; "+w.text(d.pick(rowWrites))))
	}
	return append(steps, w.query("COMMIT", 1))
}

// twoPhase leaves a transaction to another session.
func (w *writer) twoPhase() []step {
	gid := fmt.Sprintf("'%s %s %d'", w.field.database, w.name, w.values)
	s := w.one(w.row(), false)
	s.commits = 0
	finish := w.query(w.dice.pick([]string{"COMMIT", "COMMIT", "ROLLBACK"})+" PREPARED "+gid, 2)
	finish.spare = w.dice.oneIn(2)
	clean := w.query("ROLLBACK PREPARED "+gid, 0) // where what came before has failed
	clean.spare, clean.vain = true, true
	between := w.query("SELECT 1", 0)
	if w.dice.oneIn(2) {
		between = w.query(w.text("UPDATE app.counters SET n = {v} WHERE name = 't4'"), 1)
	}
	return []step{w.query("BEGIN", 0), s, w.query("PREPARE TRANSACTION "+gid, 0), between, finish, clean}
}

func (w *writer) copy() step {
	d := w.dice
	into := d.pick([]string{"app.junk (id, v)", "app.events (id, v)", "app.loose (id, v)", "app.kitten (id, v)", "app.hashed (id, v)"})
	id, value := w.token("new"), w.token("v")
	data := &pg.CopyData{Data: []byte(fmt.Sprintf("%s\t%s\n", id, value))}
	text := "COPY " + into + " FROM STDIN"
	shown := text + " " + string(data.Data[:len(data.Data)-1])
	if d.oneIn(2) {
		return step{text: shown, commits: 1, packet: encode(&pg.Query{String: text}, data, &pg.CopyDone{})}
	}
	return step{text: shown, commits: 1, packet: encode(&pg.Parse{Query: text}, &pg.Bind{}, &pg.Execute{}, data, &pg.CopyDone{}, &pg.Sync{})}
}

// pipeline sends several writes up to one Sync: they commit or fail together.
func (w *writer) pipeline() step {
	var messages []pg.FrontendMessage
	var texts []string
	for range 2 + w.dice.IntN(3) {
		text, bind := w.parameters(w.dice.pick(rowWrites))
		messages = append(messages, &pg.Parse{Query: text, ParameterOIDs: integers(len(bind.Parameters))}, &bind.Bind, &pg.Execute{})
		texts = append(texts, text+" "+bind.show)
	}
	return step{text: "pipeline: " + strings.Join(texts, "; "), commits: 2, packet: encode(append(messages, &pg.Sync{})...)}
}

func (w *writer) cursor() []step {
	t := w.token("t")
	return []step{
		w.query("BEGIN", 0), w.query("DECLARE c CURSOR FOR SELECT * FROM "+t+" FOR UPDATE", 0), w.query("FETCH "+w.token("id")+" FROM c", 0),
		w.query("UPDATE "+t+" SET v = "+w.token("v")+" WHERE CURRENT OF c", 0), w.query("COMMIT", 1),
	}
}

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

// text puts values for the placeholders of a template. The same table stands for each {t} and {bare}.
func (w *writer) text(template string) string {
	template = w.names(template)
	return placeholder.ReplaceAllStringFunc(template, func(p string) string { return w.token(p[1 : len(p)-1]) })
}

// names puts names for the placeholders that stand for some.
func (w *writer) names(template string) string {
	d := w.dice
	template = strings.ReplaceAll(template, "%%", "%")
	tables := w.field.world.tables
	t, other := tables[d.IntN(len(tables))], tables[d.IntN(len(tables))]
	c := t.extra[d.IntN(len(t.extra))]
	name := "app." + t.name
	if d.oneIn(3) {
		name = t.name
	}
	deputy, twin := "t2", "t1"
	for _, t := range tables {
		if t.deputy && d.oneIn(2) {
			deputy = t.name
		}
		if t.twin && d.oneIn(2) {
			twin = t.name
		}
	}
	stock := "INSERT INTO {t} (id, parent, tenant, v, name) SELECT i, 1 + i % 8, i % 3, {v} + i, 'stock' FROM generate_series(1, 12) i ON CONFLICT DO NOTHING; " + restock
	return strings.NewReplacer("{t}", name, "{bare}", t.name, "{f}", "app."+other.name, "{deputy}", deputy, "{twin}", twin, "{database}", w.field.database,
		"{set}", c.name+" = "+strings.ReplaceAll(c.value, "$i", strconv.Itoa(1+d.IntN(200)))).Replace(strings.ReplaceAll(template, "{stock}", stock))
}

// token returns a value for a placeholder.
func (w *writer) token(name string) string {
	switch name {
	case "id":
		return strconv.Itoa(w.dice.small())
	case "new":
		return strconv.Itoa(10 + w.dice.IntN(20))
	case "v":
		w.values++
		return strconv.Itoa((w.number+1)*10_000_000 + w.values)
	case "t":
		return "app." + w.field.world.tables[w.dice.IntN(len(w.field.world.tables))].name
	}
	panic("no value for {" + name + "}")
}

// parameters makes parameters of the numbers in a template.
func (w *writer) parameters(template string) (string, *binding) {
	b := &binding{}
	binary4 := w.dice.oneIn(2)
	if binary4 {
		b.ParameterFormatCodes = []int16{1}
	}
	var shown []string
	text := placeholder.ReplaceAllStringFunc(w.names(template), func(p string) string {
		value := w.token(p[1 : len(p)-1])
		shown = append(shown, value)
		n, _ := strconv.Atoi(value)
		if binary4 {
			b.Parameters = append(b.Parameters, binary.BigEndian.AppendUint32(nil, uint32(n)))
		} else {
			b.Parameters = append(b.Parameters, []byte(value))
		}
		return "$" + strconv.Itoa(len(b.Parameters))
	})
	if len(b.Parameters) == 0 {
		b.ParameterFormatCodes = nil
	}
	b.show = "(" + strings.Join(shown, ", ") + ")"
	return text, b
}

func integers(n int) []uint32 {
	oids := make([]uint32, n)
	for i := range oids {
		oids[i] = 23
	}
	return oids
}
