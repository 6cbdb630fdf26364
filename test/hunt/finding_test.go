package hunt

import (
	"fmt"
	"testing"

	pg "github.com/jackc/pgx/v5/pgproto3"
)

// step is a batch of one session of a finding.
type step struct {
	session string
	batch
}

func say(session string, ready int, messages ...pg.FrontendMessage) step {
	return step{session, batch{messages, wait{ready: ready}}}
}

func flush(session string, complete int, messages ...pg.FrontendMessage) step {
	return step{session, batch{append(messages, &pg.Flush{}), wait{complete: complete}}}
}

func query(text string) *pg.Query { return &pg.Query{String: text} }

// extended returns the messages for one statement without Sync.
func extended(text string) []pg.FrontendMessage {
	return []pg.FrontendMessage{&pg.Parse{Query: text}, &pg.Bind{}, &pg.Execute{}}
}

func sync(messages ...pg.FrontendMessage) []pg.FrontendMessage { return append(messages, &pg.Sync{}) }

const readA, readB = "SELECT id, v FROM a ORDER BY id", "SELECT id, v FROM b ORDER BY id"

// warm puts the texts into the cache.
var warm = []step{
	say("warm", 1, query(readA)), say("warm", 1, query(readB)), say("warm", 1, query(readA)), say("warm", 1, query(readB)),
	say("warm", 1, sync(extended(readA)...)...), say("warm", 1, sync(extended(readB)...)...),
}

// findings are sessions that once had a wrong answer, or hung.
var findings = map[string][]step{
	"block's writes when COMMIT does not wait for their answers": {
		say("w", 1, query("BEGIN")),
		say("w", 2, query("UPDATE a SET v = 7"), query("COMMIT")),
		say("r", 1, query(readA)),
	},
	"block's writes when others do not wait for their answers": {
		say("w", 1, query("BEGIN")),
		say("w", 2, query("UPDATE a SET v = 7"), query("UPDATE b SET v = 7")),
		say("w", 1, query("COMMIT")),
		say("r", 1, query(readA)), say("r", 1, query(readB)),
	},
	"block's writes in a pipeline of cycles": {
		say("w", 1, query("BEGIN")),
		say("w", 2, append(sync(extended("UPDATE a SET v = 7")...), sync(extended("COMMIT")...)...)...),
		say("r", 1, query(readA)), say("r", 1, sync(extended(readA)...)...),
	},
	"portal keeps the snapshot of its Bind": {
		flush("r", 2, &pg.Parse{Query: "SELECT v, id FROM a ORDER BY id"}, &pg.Bind{}),
		say("w", 1, query("UPDATE a SET v = 7")),
		say("r", 1, &pg.Execute{}, &pg.Sync{}),
		say("r", 1, sync(extended("SELECT v, id FROM a ORDER BY id")...)...),
		say("w", 1, sync(extended("SELECT v, id FROM a ORDER BY id")...)...),
	},
	"portal of a block keeps the snapshot of its Bind": {
		say("r", 1, query("BEGIN")),
		say("r", 1, &pg.Parse{Query: "SELECT v, id FROM a ORDER BY id"}, &pg.Bind{DestinationPortal: "p"}, &pg.Sync{}),
		say("w", 1, query("UPDATE a SET v = 7")),
		say("r", 1, &pg.Execute{Portal: "p"}, &pg.Sync{}),
		say("r", 1, query("COMMIT")),
		say("r", 1, sync(extended("SELECT v, id FROM a ORDER BY id")...)...),
	},
	"portal answered here sees no later write of its session": {
		say("r", 1, query("BEGIN")),
		say("r", 1, &pg.Parse{Query: readA}, &pg.Bind{DestinationPortal: "p"}, &pg.Sync{}),
		say("r", 1, query("UPDATE a SET v = 7")),
		say("r", 1, &pg.Execute{Portal: "p"}, &pg.Sync{}),
		say("r", 1, query("ROLLBACK")),
	},
	"name of a statement that SQL prepared": {
		say("r", 1, query("PREPARE s AS "+readB)),
		say("r", 1, &pg.Parse{Name: "s", Query: readA}, &pg.Bind{PreparedStatement: "s"}, &pg.Execute{}, &pg.Sync{}),
		say("r", 1, &pg.Bind{PreparedStatement: "s"}, &pg.Execute{}, &pg.Sync{}),
	},
	"name that SQL prepares is in use": {
		say("r", 1, &pg.Parse{Name: "s", Query: readA}, &pg.Bind{PreparedStatement: "s"}, &pg.Execute{}, &pg.Sync{}),
		say("r", 1, query("PREPARE s AS "+readB)),
		say("r", 1, query("EXECUTE s")),
	},
	"Close that was skipped": {
		say("r", 1, &pg.Parse{Name: "s", Query: readB}, &pg.Sync{}),
		say("r", 1, &pg.Bind{PreparedStatement: "none"}, &pg.Close{ObjectType: 'S', Name: "s"}, &pg.Sync{}),
		say("r", 1, &pg.Parse{Name: "s", Query: readA}, &pg.Bind{PreparedStatement: "s"}, &pg.Execute{}, &pg.Sync{}),
	},
	"DISCARD that keeps statements": {
		say("r", 1, &pg.Parse{Name: "s", Query: readB}, &pg.Sync{}),
		say("r", 1, query("DISCARD PLANS")),
		say("r", 1, &pg.Parse{Name: "s", Query: readA}, &pg.Bind{PreparedStatement: "s"}, &pg.Execute{}, &pg.Sync{}),
	},
	"DISCARD ALL that fails": {
		say("r", 1, &pg.Parse{Name: "s", Query: readB}, &pg.Sync{}),
		say("r", 1, query("BEGIN")), say("r", 1, query("DISCARD ALL")), say("r", 1, query("ROLLBACK")),
		say("r", 1, &pg.Parse{Name: "s", Query: readA}, &pg.Bind{PreparedStatement: "s"}, &pg.Execute{}, &pg.Sync{}),
	},
	"unnamed portal ends with a simple query": {
		say("r", 1, query("BEGIN")),
		say("r", 1, &pg.Parse{Query: "SELECT 1"}, &pg.Bind{}, &pg.Sync{}),
		say("r", 1, query(readA)),
		say("r", 1, &pg.Execute{}, &pg.Sync{}),
	},
	"unnamed statement outlives a Parse that was skipped": {
		say("r", 1, sync(extended("SELECT 'forwarded'")...)...),
		say("r", 1, sync(extended(readA)...)...),
		say("r", 1, &pg.Bind{PreparedStatement: "none"}, &pg.Parse{Query: readB}, &pg.Sync{}),
		say("r", 1, &pg.Bind{}, &pg.Execute{}, &pg.Sync{}),
	},
	"cursor that outlives its block": {
		say("r", 1, query("DECLARE c CURSOR WITH HOLD FOR "+readB)),
		say("r", 1, &pg.Parse{Query: readA}, &pg.Bind{DestinationPortal: "c"}, &pg.Execute{Portal: "c"}, &pg.Sync{}),
	},
	"COPY in the extended protocol whose data is wrong": {
		flush("w", 2, &pg.Parse{Query: "COPY a FROM STDIN"}, &pg.Bind{}),
		{"w", batch{[]pg.FrontendMessage{&pg.Execute{}, &pg.CopyData{Data: []byte("x\ty\n")}, &pg.CopyData{Data: []byte("1\t1\n")}}, wait{complete: 1}}},
		say("w", 1, &pg.Sync{}),
		say("w", 1, query(readA)),
	},
	"statement answered here whose table is gone, before SET": {
		say("r", 1, &pg.Parse{Name: "s", Query: readA}, &pg.Bind{PreparedStatement: "s"}, &pg.Execute{}, &pg.Sync{}),
		say("w", 1, query("DROP TABLE a")),
		say("r", 1, query("SET DateStyle = german")),
		say("r", 1, query("SHOW DateStyle")),
	},
	"statement answered here in a block that failed, before SET": {
		say("r", 1, query("BEGIN")),
		say("r", 1, &pg.Parse{Name: "s", Query: readA}, &pg.Bind{PreparedStatement: "s"}, &pg.Execute{}, &pg.Sync{}),
		say("r", 1, query("SELECT 1/0")),
		say("r", 1, query("SET DateStyle = german")),
		say("r", 1, query("ROLLBACK")),
		say("r", 1, &pg.Bind{PreparedStatement: "s"}, &pg.Execute{}, &pg.Sync{}),
	},
	"portal answered here executed after others in its cycle": {
		say("r", 1, &pg.Parse{Name: "s", Query: readA}, &pg.Bind{PreparedStatement: "s", ResultFormatCodes: []int16{1}}, &pg.Execute{}, &pg.Sync{}),
		say("w", 1, sync(extended(readA)...)...),
		say("r", 1, query("BEGIN")),
		say("r", 1, &pg.Bind{PreparedStatement: "s", DestinationPortal: "p"}, &pg.Sync{}),
		say("r", 1, &pg.Parse{Name: "u", Query: "SELECT 3"}, &pg.Execute{Portal: "p"}, &pg.Sync{}),
		say("r", 1, query("COMMIT")),
	},
	"write that a skipped Parse hides": {
		say("w", 1, &pg.Parse{Query: "UPDATE a SET v = 7"}, &pg.Sync{}),
		say("w", 2, &pg.Bind{PreparedStatement: "none"}, &pg.Parse{Query: readB}, &pg.Sync{}, &pg.Bind{}, &pg.Execute{}, &pg.Sync{}),
		say("r", 1, query(readA)),
	},
	"messages that come after the error in their cycle": {
		{"w", batch{[]pg.FrontendMessage{&pg.Parse{Query: "SELECT none"}, &pg.Flush{}}, wait{complete: 1}}},
		say("w", 1, &pg.Bind{}, &pg.Execute{}, &pg.Close{ObjectType: 'S'}, &pg.Sync{}),
		{"hit", batch{[]pg.FrontendMessage{query(readA)}, wait{ready: 1}}},
	},
	"COPY and Sync in the simple protocol": {
		say("w", 1, query("COPY a FROM STDIN"), &pg.CopyData{Data: []byte("8\t8\n")}, &pg.CopyDone{}),
		say("r", 1, query(readA)),
	},
}

// TestFindings runs each finding on equal databases with a warm cache.
func TestFindings(t *testing.T) {
	g := newGround(t)
	n := 0
	for name, steps := range findings {
		n++
		database := fmt.Sprintf("finding_%d", n)
		t.Run(name, func(t *testing.T) {
			f := g.field(t, database, `CREATE TABLE a (id int, v int); CREATE TABLE b (id int, v int);
				INSERT INTO a VALUES (1, 1), (2, 2); INSERT INTO b VALUES (1, 10), (2, 20)`)
			twins := map[string]*twin{}
			for i, s := range append(append([]step(nil), warm...), steps...) {
				if twins[s.session] == nil {
					twins[s.session] = f.twin(t, s.session)
				}
				if difference := twins[s.session].exchange(s.batch); difference != "" {
					t.Fatalf("step %d, %s: %s\n%s", i+1-len(warm), s.session, s.show(), difference)
				}
			}
			if f.proxy.Hits() == 0 {
				t.Error("nothing was answered from the cache")
			}
		})
	}
}
