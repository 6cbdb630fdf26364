package proxy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
	"github.com/pgrecall/pgrecall/proxy/audit"
)

// auditRecords closes the log and returns what is in its file.
func auditRecords(t *testing.T, r *running, path string) (list []map[string]any, text string) {
	t.Helper()
	if err := r.Observer.(*audit.Log).Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		list = append(list, m)
	}
	return list, string(b)
}

// TestEachHitHasOneRecord, with clients that ask at the same time, alone and in pipelines, by both protocols.
func TestEachHitHasOneRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) { o.Observer = openAudit(t, o, path, true) },
		"CREATE TABLE goods (id int, name text)", "INSERT INTO goods SELECT g, '"+canary+"row' FROM generate_series(1, 20) g")
	const clients, rounds = 6, 60
	var wg sync.WaitGroup
	for i := range clients {
		parameters := []string{"application_name=app" + fmt.Sprint(i)}
		if i%2 == 0 {
			parameters = append(parameters, simple)
		}
		c := r.connect(parameters...)
		wg.Go(func() {
			for n := range rounds {
				id := n % 5
				switch n % 3 {
				case 0:
					value(t, c, "SELECT name FROM goods WHERE id = $1 AND name <> $2", id, canary+"parameter")
				case 1:
					value(t, c, fmt.Sprintf("SELECT name FROM goods WHERE id = %d AND name <> '%sconstant'", id, canary))
				default:
					batch := &pgx.Batch{}
					for range 3 {
						batch.Queue("SELECT id FROM goods WHERE id = $1", id)
					}
					if err := c.SendBatch(context.Background(), batch).Close(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	c := r.connect(simple)
	mustExec(t, c, "SET application_name = 'renamed'")
	before := r.hits()
	eventually(t, "a hit", func() bool { value(t, c, "SELECT id FROM goods WHERE id = 1"); return r.hits() > before })
	hits := r.hits()
	list, text := auditRecords(t, r, path)
	if int64(len(list)) != hits || hits < clients*rounds/2 {
		t.Errorf("%d records of %d hits", len(list), hits)
	}
	by := map[any]int{}
	for _, m := range list {
		by[m["application_name"]]++
		if m["outcome"] != "hit_l1" || m["tier"] != "l1" || m["user"] != "postgres" || m["database"] != r.Database || fmt.Sprint(m["tables"]) != "[public.goods]" || len(m["fingerprint"].(string)) != 16 ||
			!strings.HasPrefix(m["client"].(string), "127.0.0.1:") || m["time"] == "" {
			t.Fatal(m)
		}
	}
	if len(by) != clients+1 || by["renamed"] == 0 {
		t.Error(by)
	}
	if strings.Contains(text, canary) {
		t.Error("a secret is in it")
	}
}

// TestAuditOfAllStatements has those that went to the server, too.
func TestAuditOfAllStatements(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		path := filepath.Join(t.TempDir(), "audit")
		r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) {
			o.Observer = openAudit(t, o, path, false)
			o.Observer.(*audit.Log).Set(audit.All, false)
		}, "CREATE TABLE goods (id int)")
		c := r.connect(parameters...)
		before := r.Status().Outcomes
		value(t, c, "SELECT id FROM goods")
		mustExec(t, c, "INSERT INTO goods VALUES (7713)")
		value(t, c, "SELECT random() FROM goods")
		if _, err := c.Exec(bounded(t), "SELECT 1 / (id - id) FROM goods"); err == nil {
			t.Fatal("no error")
		}
		after := r.Status().Outcomes
		list, text := auditRecords(t, r, path)
		n := map[string]int64{}
		for _, m := range list {
			n[m["outcome"].(string)]++
		}
		for outcome := range after {
			if n[outcome] != after[outcome]-before[outcome] {
				t.Errorf("%s: %d records of %d", outcome, n[outcome], after[outcome]-before[outcome])
			}
		}
		if last := list[len(list)-1]; last["error"] != "22012" {
			t.Error(last)
		}
		if strings.Contains(text, "7713") {
			t.Error(text)
		}
	})
}

// TestNoHitsWithoutRecords: with audit.required the cache gives no answers as long as the disk is full, and gives them again.
func TestNoHitsWithoutRecords(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		dir := t.TempDir()
		path := filepath.Join(dir, "audit")
		r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) { o.Observer = openAudit(t, o, path, true) }, "CREATE TABLE goods AS SELECT 7 AS id")
		c := r.connect(parameters...)
		ask := func() int64 {
			before := r.hits()
			value(t, c, "SELECT id FROM goods")
			return r.hits() - before
		}
		eventually(t, "a hit", func() bool { return ask() == 1 })
		log := r.Observer.(*audit.Log)
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/dev/full", path); err != nil {
			t.Fatal(err)
		}
		if err := log.Reopen(bounded(t)); err != nil {
			t.Fatal(err)
		}
		ask() // cannot be written; the next one is not answered once that is known
		eventually(t, "it is known", func() bool { return !log.Ready() })
		reason := r.Status().Bypasses["audit"]
		for range 20 {
			if ask() != 0 {
				t.Fatal("a hit that can't be recorded")
			}
		}
		if n := r.Status().Bypasses["audit"] - reason; n != 20 {
			t.Errorf("%d bypasses", n)
		}
		hits := r.hits()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := log.Reopen(bounded(t)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is ready", log.Ready)
		eventually(t, "a hit", func() bool { return ask() == 1 })
		hits = r.hits() - hits
		first, err := os.ReadFile(path + ".1")
		if err != nil {
			t.Fatal(err)
		}
		list, _ := auditRecords(t, r, path)
		if total := int64(len(list) + strings.Count(string(first), "\n")); total != r.hits() || hits < 1 {
			t.Errorf("%d records of %d hits", total, r.hits())
		}
	})
}

// TestStandInsAreRecorded: an answer from the cache in place of an error is one from the cache, and is not given where it can't be recorded.
func TestStandInsAreRecorded(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		path := filepath.Join(t.TempDir(), "audit")
		r := startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) {
			o.Policy, o.Observer = policyOf(t, windowForErrors), openAudit(t, o, path, true)
		}, moody...)
		c, past := r.connect(parameters...), r.direct()
		value(t, c, moodyRead)
		fresh := value(t, c, moodyRead)
		mustExec(t, past, "INSERT INTO mood VALUES ('53000', 0)")
		expire(t)
		rows, err := c.Query(bounded(t), moodyRead)
		if got := collect(rows, err); got != fresh+"|" {
			t.Fatal(got)
		}
		log := r.Observer.(*audit.Log)
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/dev/full", path); err != nil {
			t.Fatal(err)
		}
		if err := log.Reopen(bounded(t)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is known that nothing can be written", func() bool {
			rows, err := c.Query(bounded(t), moodyRead)
			_ = collect(rows, err)
			return !log.Ready()
		})
		rows, err = c.Query(bounded(t), moodyRead)
		if got := collect(rows, err); got != "error 53000" {
			t.Error(got)
		}
		b, err := os.ReadFile(path + ".1")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), `"outcome":"miss","tier":"l1"`) || !strings.Contains(string(b), `"stale":"error"`) {
			t.Errorf("%s", b)
		}
	})
}
