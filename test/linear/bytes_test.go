package linear

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// stream is where a connection breaks.
type stream uint8

const (
	clientToProxy stream = iota
	proxyToServer
	proxyToServerLate // pgrecall sees the end at once, the server gets what was sent later
	serverToProxy
	streams
)

func (s stream) String() string {
	return [...]string{"client to pgrecall", "pgrecall to server", "pgrecall to server, delivered late", "server to pgrecall"}[s]
}

// cutting is one write that breaks after a number of bytes of a stream.
type cutting struct {
	script script
	stream stream
	after  int
	whole  bool // after all bytes: the answer may overtake the cut
	held   bool // the row is locked: the write waits until readers have looked
}

func (c *cutting) String() string {
	held := ""
	if c.held {
		held = ", row locked"
	}
	return fmt.Sprintf("%s, %s, after %d bytes%s", c.script.name, c.stream, c.after, held)
}

// lanes is how many writes are cut at a time, each on a table of its own.
const lanes = 8

// Every byteStride-th byte is one after which `make test` cuts; which, the seed decides. A run with PGRECALL_LINEAR does all.
const byteStride = 9

// Readers look so often while pgrecall answers other things from its cache, and for so long, before what was held up goes on: it has noticed by
// then that a connection is gone, and would answer this from the cache, too. They wait no longer than patience.
const (
	looks    = 3
	lookTime = 30 * time.Millisecond
	patience = 5 * time.Second
)

// lane is a register with its readers.
type lane struct {
	t        *testing.T
	stage    *stage
	key      int
	old      int64
	straight *client // past pgrecall
	reader   *client // through it
}

// stage is what all lanes share.
type stage struct {
	server *pgtest.Server
	relay  *relay
	proxy  *pgrecall
}

func TestWritesThatAreCutAtEveryByte(t *testing.T) {
	s := newStage(t)
	all := s.cuttings(t)
	t.Logf("%d places to cut at", len(all))
	work := make(chan cutting)
	var running sync.WaitGroup
	for i := range lanes {
		l := s.lane(t, i*rowsPerTable)
		running.Go(func() {
			for c := range work {
				if !l.t.Failed() {
					l.play(&c)
				}
			}
		})
	}
	for _, c := range all {
		work <- c
	}
	close(work)
	running.Wait()
	if hits := s.proxy.Status().Outcomes["hit_l1"]; hits < int64(2*len(all)) {
		t.Errorf("%d hits: the cache was not there to be wrong", hits)
	}
}

// TestLostConnectionsLeaveTheCache has the server's connections cut, again and again, while a session reads what is cached: all others
// have to wait no longer than it takes to see that the server has not crashed.
func TestLostConnectionsLeaveTheCache(t *testing.T) {
	s := newStage(t)
	l := s.lane(t, 0)
	for range 10 {
		if err := l.warm(); err != nil {
			t.Fatal(err)
		}
		c, link, err := l.writer()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.control(); err != nil { // cached from here on
			t.Fatal(err)
		}
		link.cut(true)
		if _, err := c.value(uncachedText(l.key)); err == nil {
			t.Error("the connection lives on")
		}
		c.vanish(false)
		if err := l.warm(); err != nil {
			t.Fatal(err)
		}
		// The register that is read all the time may miss once: the fence can come down between the look into the cache and the fill.
		if cached, err := l.control(); !cached || err != nil || s.proxy.Status().Bypasses["no_catalog"] != 0 {
			t.Errorf("what nobody touched is cached: %v (%v); bypasses %v", cached, err, s.proxy.Status().Bypasses)
		}
	}
}

func newStage(t *testing.T) *stage {
	s := &stage{server: pgtest.Start(t, pgtest.WithConfig("autovacuum = off"))}
	for database, sql := range map[string]string{"postgres": "CREATE DATABASE " + database} {
		if err := s.server.Exec(t.Context(), database, sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.server.Exec(t.Context(), database, schema()); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.relay, err = newRelay(s.server.Address()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.relay.close)
	if s.proxy, err = serve(settings{Listen: "127.0.0.1:0", Upstream: dsn(s.relay.address())}, testLog{t}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.proxy.close(0) })
	eventually(t, "the catalog is loaded", func() bool { return s.proxy.Ready() == nil })
	return s
}

// cuttings lists all places at which the scripts are cut.
func (s *stage) cuttings(t *testing.T) []cutting {
	l := s.lane(t, 1) // lane 0's table: names of equal length make messages of equal length
	seed, _ := strconv.Atoi(os.Getenv("PGRECALL_SEED"))
	if os.Getenv("PGRECALL_SEED") == "" {
		seed = int(time.Now().Unix())
	}
	t.Logf("PGRECALL_SEED=%d", seed)
	var all []cutting
	for _, script := range scripts() {
		lengths, single := l.measure(script)
		for stream := range streams {
			for after := range lengths[stream] + 1 {
				last := after == lengths[stream]
				if os.Getenv("PGRECALL_LINEAR") != "" || last || after%byteStride == seed%byteStride {
					all = append(all, cutting{script: script, stream: stream, after: after, whole: last})
				}
				if last && single && stream < serverToProxy {
					all = append(all, cutting{script: script, stream: stream, after: after, whole: true, held: true})
				}
			}
		}
	}
	return all
}

func (s *stage) lane(t *testing.T, key int) *lane {
	l := &lane{t: t, stage: s, key: key, old: initial}
	var err error
	if l.straight, err = dialClient(s.server.Address()); err != nil {
		t.Fatal(err)
	}
	if l.reader, err = dialClient(s.proxy.address()); err != nil {
		t.Fatal(err)
	}
	_ = l.straight.socket.SetDeadline(time.Time{})
	_ = l.reader.socket.SetDeadline(time.Time{})
	t.Cleanup(func() { l.straight.vanish(false); l.reader.vanish(false) })
	return l
}

// writer starts a session that has its settings known, and returns its link to the server.
func (l *lane) writer() (*client, *link, error) {
	c, err := dialClient(l.stage.proxy.address())
	if err != nil {
		return nil, nil, err
	}
	if _, err := c.value(readText(l.key)); err != nil {
		return nil, nil, err
	}
	link := l.stage.relay.of(c.pid)
	if link == nil {
		return nil, nil, fmt.Errorf("backend %d is behind no link", c.pid)
	}
	return c, link, nil
}

// measure plays a script to its end and returns the bytes of each stream, and whether the client sends all at once.
func (l *lane) measure(s script) (lengths [streams]int, single bool) {
	c, link, err := l.writer()
	if err != nil {
		l.t.Fatal(err)
	}
	defer c.vanish(false)
	batches := s.batches(l.key, initial)
	before := [2]int64{link.passed[toServer].Load(), link.passed[toClient].Load()}
	if err := c.run(batches, -1); err != nil {
		l.t.Fatalf("%s: %v", s.name, err)
	}
	for _, batch := range batches {
		packet, _, _ := encode(batch)
		lengths[clientToProxy] += len(packet)
	}
	lengths[proxyToServer] = int(link.passed[toServer].Load() - before[toServer])
	lengths[proxyToServerLate] = lengths[proxyToServer]
	lengths[serverToProxy] = int(link.passed[toClient].Load() - before[toClient])
	return lengths, len(batches) == 1
}

// play cuts one write and watches what becomes of it.
func (l *lane) play(c *cutting) {
	failed := func(err error) { l.t.Errorf("%s: %v", c, err) }
	if err := l.warm(); err != nil {
		failed(err)
		return
	}
	writer, link, err := l.writer()
	if err != nil {
		failed(err)
		return
	}
	proceed, err := l.holdUp(c, link)
	if err != nil {
		failed(err)
		return
	}
	value := l.old + 1
	limit := -1
	if c.stream == clientToProxy {
		limit = c.after
	}
	err = writer.run(c.script.batches(l.key, value), limit)
	writer.vanish(c.after%2 == 0)
	if err == nil && !c.whole {
		failed(fmt.Errorf("the write went through"))
	}
	if err := l.watch(writer.pid, value, proceed); err != nil {
		failed(err)
	}
}

// holdUp arms the link. The function that it returns lets go on what is held up; it is nil where nothing is.
func (l *lane) holdUp(c *cutting, link *link) (proceed func() error, err error) {
	f := &fault{after: c.after, reset: c.after%3 == 0}
	switch c.stream {
	case proxyToServer:
		link.arm(toServer, f)
	case proxyToServerLate:
		late := make(chan struct{})
		f.late = late
		proceed = func() error { close(late); return nil }
		link.arm(toServer, f)
	case serverToProxy:
		link.arm(toClient, f)
	default:
	}
	if !c.held {
		return proceed, nil
	}
	locker, err := dialClient(l.stage.server.Address())
	if err != nil {
		return nil, err
	}
	_, err = locker.value("BEGIN; " + readText(l.key) + " FOR UPDATE")
	let := proceed
	return func() error {
		defer locker.vanish(false)
		if let != nil {
			_ = let()
		}
		_, err := locker.value("ROLLBACK; SELECT 1")
		return err
	}, err
}

// warm reads until an answer comes from the cache.
func (l *lane) warm() error {
	link := l.stage.relay.of(l.reader.pid)
	for deadline := time.Now().Add(scriptTimeout); ; {
		before := link.passed[toServer].Load()
		got, err := l.reader.value(readText(l.key))
		if err != nil {
			return err
		}
		if got != strconv.FormatInt(l.old, 10) {
			return fmt.Errorf("read %s through pgrecall long after %d was settled", got, l.old)
		}
		if link.passed[toServer].Load() == before {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("nothing is cached %s after the last write", scriptTimeout)
		}
	}
}

// control tells whether a register that nobody writes is answered from the cache.
func (l *lane) control() (cached bool, err error) {
	link := l.stage.relay.of(l.reader.pid)
	before := link.passed[toServer].Load()
	_, err = l.reader.value(readText(keys - 1))
	return link.passed[toServer].Load() == before, err
}

// watch reads the register past and through pgrecall, out of the cache and not, until the writer's backend is gone. Once somebody has seen the
// new value nobody may see the old one.
func (l *lane) watch(pid uint32, value int64, proceed func() error) error {
	texts := []struct {
		who  string
		c    *client
		text string
	}{
		{"straight", l.straight, readText(l.key)}, {"cached", l.reader, readText(l.key)},
		{"uncached", l.reader, uncachedText(l.key)}, {"cached", l.reader, readText(l.key)},
	}
	old, fresh := strconv.FormatInt(l.old, 10), strconv.FormatInt(value, 10)
	seen := ""
	began := time.Now()
	looked := 0
	for round, gone := 0, false; ; round++ {
		before, err := l.control()
		if err != nil {
			return err
		}
		for _, r := range texts {
			got, err := r.c.value(r.text)
			switch {
			case err != nil:
				return fmt.Errorf("%s: %w", r.who, err)
			case got == fresh:
				if seen == "" {
					seen = r.who
				}
			case got != old:
				return fmt.Errorf("%s read %s, which nobody wrote", r.who, got)
			case seen != "":
				return fmt.Errorf("%s read the old value in round %d, after %s had read the new one", r.who, round, seen)
			}
		}
		if gone {
			break
		}
		after, err := l.control()
		if err != nil {
			return err
		}
		if before && after {
			looked++
		}
		if proceed != nil && (looked >= looks && time.Since(began) > lookTime || time.Since(began) > patience) {
			if err := proceed(); err != nil {
				return err
			}
			proceed = nil
		}
		if proceed != nil {
			continue
		}
		left, err := l.straight.value(fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE pid = %d", pid))
		if err != nil {
			return err
		}
		if gone = left == "0"; !gone && time.Since(began) > scriptTimeout {
			return fmt.Errorf("backend %d does not end", pid)
		}
	}
	if seen != "" {
		l.old = value
	}
	return nil
}

// eventually waits until something holds that others bring about.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(quietTimeout); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", quietTimeout, what)
		}
	}
}

// testLog shows what pgrecall logs in the test's own.
type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	if context.Cause(l.t.Context()) == nil { // else the test is over
		l.t.Logf("%s", b)
	}
	return len(b), nil
}
