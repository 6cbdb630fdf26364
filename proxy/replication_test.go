package proxy_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

func TestPhysicalReplicationIsARawPipe(t *testing.T) {
	s := pgtest.Start(t)
	r := startOn(t, s.DSN("postgres"), nil)
	c := r.session("replication", "true")
	c.send(frame('Q', "IDENTIFY_SYSTEM"))
	all := c.untilReady()
	if types(all) != "TDCZ" {
		t.Fatalf("IDENTIFY_SYSTEM: %q", types(all))
	}
	c.send(frame('Q', "CREATE_REPLICATION_SLOT keep TEMPORARY PHYSICAL RESERVE_WAL"))
	c.untilReady()
	position := value(t, r.direct(), `SELECT pg_current_wal_lsn()::text`)
	c.send(frame('Q', "START_REPLICATION SLOT keep PHYSICAL "+position))
	c.until('W')
	if err := s.Exec(t.Context(), "postgres", "CREATE TABLE moved AS SELECT g FROM generate_series(1, 1000) g"); err != nil {
		t.Fatal(err)
	}
	for got := 0; got < 32<<10; {
		m := c.until('d')
		if body := m[len(m)-1].body; body[0] == 'w' {
			got += len(body) - 25
		}
	}
	// A standby's status update, then the end of streaming (section "Streaming Replication Protocol").
	status := append([]byte{'r'}, make([]byte, 33)...)
	status[33] = 1 // asks for a reply
	c.send(frame('d', status))
	for {
		m := c.until('d')
		if m[len(m)-1].body[0] == 'k' {
			break
		}
	}
	c.send(frame('c'))
	c.until('c')
	c.untilReady()
	c.send(frame('Q', "IDENTIFY_SYSTEM"))
	if got := c.untilReady(); types(got) != "TDCZ" {
		t.Errorf("after streaming: %q", types(got))
	}
}

func TestLogicalReplicationConnections(t *testing.T) {
	s := pgtest.Start(t, pgtest.WithConfig("wal_level = logical"))
	r := startOn(t, s.DSN("postgres"), nil, `CREATE TABLE item (id int PRIMARY KEY)`, `INSERT INTO item VALUES (1)`, `CREATE PUBLICATION p FOR TABLE item`)
	const read = `SELECT sum(id)::text FROM item`
	reader := r.connect()
	value(t, reader, read)
	before := r.hits()
	value(t, reader, read)
	if r.hits() == before {
		t.Error("nothing was cached")
	}
	c := r.session("replication", "database")
	c.send(frame('Q', "IDENTIFY_SYSTEM"))
	if got := c.untilReady(); types(got) != "TDCZ" {
		t.Fatalf("IDENTIFY_SYSTEM: %q", types(got))
	}
	c.send(frame('Q', "CREATE_REPLICATION_SLOT keep TEMPORARY LOGICAL pgoutput"))
	c.untilReady()
	c.send(frame('Q', "INSERT INTO item VALUES (10)"))
	c.untilReady()
	if got := value(t, reader, read); got != "11" {
		t.Errorf("after a write on a replication connection: %s", got)
	}
	c.send(frame('Q', read))
	if got := strings.Join(column(c.untilReady()), "|"); got != "11" {
		t.Errorf("SQL on a replication connection: %s", got)
	}
	c.send(frame('Q', `START_REPLICATION SLOT keep LOGICAL 0/0 (proto_version '1', publication_names 'p')`))
	c.until('W')
	var decoded strings.Builder
	for !strings.Contains(decoded.String(), "C") {
		m := c.until('d')
		if body := m[len(m)-1].body; body[0] == 'w' {
			decoded.WriteByte(body[25])
		}
	}
	if got := decoded.String(); got != "BRIC" {
		t.Errorf("decoded messages %q", got)
	}
	feedback := append([]byte{'r'}, make([]byte, 33)...)
	binary.BigEndian.PutUint64(feedback[1:], 1)
	c.send(frame('d', feedback))
	c.send(frame('c'))
	c.until('c')
	c.untilReady()
	mustExec(t, reader, `INSERT INTO item VALUES (100)`)
	if got := value(t, reader, read); got != "111" {
		t.Errorf("another session's write: %s", got)
	}
	before = r.hits()
	value(t, reader, read)
	if r.hits() == before {
		t.Error("not cached after streaming")
	}
}
