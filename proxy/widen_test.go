package proxy_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/internal/faultnet"
)

// In these tests a write to a waits for a lock, and the function of its trigger is replaced by one that changes x, too.
const (
	replaceTrigger = "CREATE OR REPLACE FUNCTION trig() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE x SET n = n + 1; RETURN NEW; END $$"
	changedByIt    = "SELECT n::text FROM x"
)

var triggered = []string{
	"CREATE TABLE a AS SELECT 0 AS n", "CREATE TABLE b AS SELECT 0 AS n", "CREATE TABLE x AS SELECT 0 AS n",
	"CREATE FUNCTION trig() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
	"CREATE TRIGGER t BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION trig()",
}

// holdBack makes writes to a wait until the returned function is called.
func holdBack(t *testing.T, r *running) (letGo func()) {
	t.Helper()
	holder := r.direct()
	mustExec(t, holder, "BEGIN")
	mustExec(t, holder, "SELECT n FROM a FOR UPDATE")
	return func() { mustExec(t, holder, "ROLLBACK") }
}

// readTwice reads what the new function will change, so that it would be cached if that were right.
func readTwice(t *testing.T, c *pgx.Conn) {
	t.Helper()
	for range 2 {
		if got := value(t, c, changedByIt); got != "0" {
			t.Errorf("%s before anything was written", got)
		}
	}
}

func TestDefinitionBetweenPipelinedWrites(t *testing.T) {
	for name, second := range map[string]string{"one write": "", "two writes": "UPDATE b SET n = n + 1"} {
		t.Run(name, func(t *testing.T) {
			r := start(t, triggered...)
			letGo := holdBack(t, r)
			look, reader, ddl := r.direct(), r.connect(simple), r.connect(simple)
			f := r.hijack()
			write := func(sql string, last pgproto3.FrontendMessage) {
				f.Send(&pgproto3.Parse{Query: sql})
				f.Send(&pgproto3.Bind{})
				f.Send(&pgproto3.Execute{})
				f.Send(last)
				if err := f.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			write("UPDATE a SET n = n + 1", &pgproto3.Flush{})
			waits(t, look, "1")
			mustExec(t, ddl, replaceTrigger)
			r.waitReady()
			readTwice(t, reader)
			if second == "" {
				f.Send(&pgproto3.Sync{})
				if err := f.Flush(); err != nil {
					t.Fatal(err)
				}
			} else {
				writes := r.Status().Outcomes["write"]
				write(second, &pgproto3.Sync{})
				eventually(t, "pgrecall has seen the second write", func() bool { return r.Status().Outcomes["write"] > writes })
			}
			readTwice(t, reader)
			letGo()
			receive(t, f, 0)
			if got := value(t, reader, changedByIt); got != "1" {
				t.Errorf("%s after an acknowledged write that made it 1", got)
			}
			eventually(t, "it is cached again", func() bool { return r.counts(reader, 2, changedByIt) > 0 })
		})
	}
}

// TestDefinitionUnderADeadMembersWrite: the member whose write it is ends while the server executes it still.
func TestDefinitionUnderADeadMembersWrite(t *testing.T) {
	fleet, _ := startFleet(t, 2, true, triggered...)
	letGo, look := holdBack(t, fleet[0]), fleet[0].direct()
	writer, ddl, reader := fleet[0].connect(simple), fleet[1].connect(simple), fleet[1].connect(simple)
	value(t, writer, "SELECT count(*) FROM b")
	raw, err := writer.PgConn().Hijack()
	if err != nil {
		t.Fatal(err)
	}
	message, err := (&pgproto3.Query{String: "UPDATE a SET n = n + 1"}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Conn.Write(message); err != nil {
		t.Fatal(err)
	}
	waits(t, look, "1")
	mustExec(t, ddl, replaceTrigger)
	fleet[1].waitReady()
	_ = raw.Conn.Close()
	fleet[0].stop(10 * time.Second)
	waits(t, look, "1")
	eventually(t, "the other one is certain again", func() bool { return fleet[1].Status().Fleet.Live })
	readTwice(t, reader)
	letGo()
	eventually(t, "the write is over", func() bool { return value(t, look, changedByIt) == "1" })
	eventually(t, "the fence is down", func() bool { return fleet[1].counts(reader, 2, "SELECT n::text FROM a") > 0 })
	if got := value(t, reader, changedByIt); got != "1" {
		t.Errorf("%s where the server says 1", got)
	}
}

// TestReadersDoNotGoBackUnderAChangedDefinition: Redis is slow for the one whose write it is. A client of another one never reads what the write made
// and then what was before.
func TestReadersDoNotGoBackUnderAChangedDefinition(t *testing.T) {
	var slow *faultnet.Proxy
	fleet, _ := startFleetOn(t, 2, true, func(admin *goredis.Client) *goredis.Client {
		address := admin.Options().Addr
		if slow == nil {
			slow = faultnet.Start(t, address)
			address = slow.Address()
		}
		return goredis.NewClient(&goredis.Options{Addr: address, ContextTimeoutEnabled: true})
	}, unchanged, triggered...)
	letGo, look := holdBack(t, fleet[0]), fleet[0].direct()
	writer, ddl, reader := fleet[0].connect(simple), fleet[1].connect(simple), fleet[1].connect(simple)
	answer := ask(writer, "UPDATE a SET n = n + 1")
	waits(t, look, "1")
	mustExec(t, ddl, replaceTrigger)
	fleet[1].waitReady()
	readTwice(t, reader)
	slow.Latency(100 * time.Millisecond)
	letGo()
	for i := 0; value(t, reader, fmt.Sprintf("SELECT n::text FROM x WHERE %d = %d", i, i)) != "1"; i++ {
		if i > 2000 {
			t.Fatal("the write never came")
		}
	}
	if got := value(t, reader, changedByIt); got != "1" {
		t.Errorf("the same client read 1 and then %s", got)
	}
	slow.Latency(0)
	<-answer
}
