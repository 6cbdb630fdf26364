package main

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/admin"
	"github.com/pgrecall/pgrecall/internal/browsertest"
	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// hostileName is a table's name that a page must not take for markup.
const hostileName = `<img src=x onerror="window.evil=1">`

// TestStatusPage looks with a real Chromium at a pgrecall in front of a real PostgreSQL with traffic.
func TestStatusPage(t *testing.T) {
	server := pgtest.Shared(t)
	dsn := server.NewDatabase(t)
	database := databaseOf(t, dsn)
	if err := server.Exec(t.Context(), database, `CREATE TABLE goods AS SELECT i AS id, 'n' || i AS name FROM generate_series(1, 100) i; CREATE TABLE visit (id int);
		CREATE TABLE "`+strings.ReplaceAll(hostileName, `"`, `""`)+`" (id int)`); err != nil {
		t.Fatal(err)
	}
	s := startServing(t, dsn, "--config", writeFile(t, "rules: [{name: short, match: {tables: [goods]}, ttl: 9s}]\n"), "--admin-token=open-sesame")
	p := browsertest.Start(t).Open(t, s.admin+"/", browsertest.View{})
	stop := visit(t, s, dsn)

	t.Run("figures", func(t *testing.T) { testFigures(t, p, s, database) })
	stop()
	t.Run("explain by keyboard", func(t *testing.T) { testExplainByKeyboard(t, p) })
	if all := p.Complaints(); len(all) > 0 {
		t.Errorf("the page complains: %q", all)
	}
	t.Run("flush", func(t *testing.T) { testFlushByPage(t, p, s) })
	if all := p.Foreign(); len(all) > 0 {
		t.Errorf("requests to others: %q", all)
	}
	if browsertest.Value[bool](p, `"evil" in window`) {
		t.Error("a table's name ran")
	}
}

// visit keeps a client busy until it is stopped.
func visit(t *testing.T, s serving, dsn string) (stop func()) {
	t.Helper()
	client := s.through(t, dsn, "&default_query_exec_mode=simple_protocol")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		pace := time.NewTicker(2 * time.Millisecond)
		defer pace.Stop()
		for turn := 0; ctx.Err() == nil; turn++ {
			statement := "SELECT name FROM goods WHERE id = " + strconv.Itoa(turn%10)
			switch turn % 50 {
			case 10:
				statement = "INSERT INTO visit VALUES (1)"
			case 20:
				statement = "SELECT count(*), random() FROM visit"
			case 30:
				statement = `SELECT * FROM "` + strings.ReplaceAll(hostileName, `"`, `""`) + `" WHERE id = 7`
			}
			if _, err := client.Exec(context.Background(), statement, pgx.QueryExecModeSimpleProtocol); err != nil {
				t.Errorf("%s: %v", statement, err)
				return
			}
			<-pace.C
		}
	}()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return stop
}

// testFigures waits for everything that there is to show.
func testFigures(t *testing.T, p *browsertest.Page, s serving, database string) {
	text := func(id string) string { return `document.getElementById("` + id + `").textContent` }
	row := func(list, what string) string {
		return `[...document.querySelectorAll("#` + list + ` tbody tr")].find((row) => row.textContent.includes(` + strconv.Quote(what) + `))?.innerText.replace(/\s+/g, " ") ?? ""`
	}
	for _, want := range []string{
		text("cache") + ` == "on"`, text("clients") + ` == "1"`, `parseFloat(` + text("hit-rate") + `) > 50`,
		row("outcome-list", "hit_l1"), row("reason-list", "volatile_function"), row("invalidation-list", "in_band"),
		`/ short 9 s strict /.test(` + row("table-list", "public.goods") + `)`, `/ \d+ in_band /.test(` + row("table-list", "public.visit") + `)`, row("table-list", hostileName),
		row("statement-list", "select name from goods where id = $1"), `/not cached: volatile_function \(random\)/.test(` + row("statement-list", "random()") + `)`,
		row("uncached-list", "random()"), `/postgres ` + database + ` (idle|active) 127/.test(` + row("connection-list", database) + `)`,
		// The curves: lines of several points.
		`[...document.querySelectorAll("#curves figure > svg")].every((curve) => [...curve.querySelectorAll("path")].some((path) => path.getAttribute("d").includes("L")))`,
		`[...document.querySelectorAll("#curves figure > svg")].every((curve) => /from \d\d:\d\d:\d\d to .*(last|none)/.test(curve.ariaLabel))`,
	} {
		p.Await(want)
	}
	if n := browsertest.Value[int](p, `document.querySelectorAll("img").length`); n > 0 {
		t.Error("a table's name became an element")
	}
	p.CheckNames(t)
	roles := map[string]int{}
	for _, n := range p.Landmarks() {
		roles[n.Role]++
	}
	if roles["main"] != 1 || roles["banner"] != 1 || roles["contentinfo"] != 1 || roles["navigation"] != 1 || roles["heading"] < 12 {
		t.Errorf("%v", roles)
	}
	p.Screenshot("real")

	// What the page shows is what the server says, before and after.
	before := statusOf(t, s)
	browsertest.Value[bool](p, `again(), true`)
	p.Await(`parseInt(` + text("hits") + `.replaceAll(",", "")) >= ` + strconv.FormatUint(before.Hits(), 10))
	shown, err := strconv.ParseUint(strings.ReplaceAll(p.Text("hits"), ",", ""), 10, 64)
	if after := statusOf(t, s); err != nil || shown > after.Hits() {
		t.Errorf("%d hits are shown, there are %d: %v", shown, after.Hits(), err)
	}
}

func statusOf(t *testing.T, s serving) admin.Status {
	t.Helper()
	response, err := http.Get(s.admin + "/api/status")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var status admin.Status
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		t.Fatal(err)
	}
	return status
}

// tabTo presses the tab key until an element has the focus.
func tabTo(t *testing.T, p *browsertest.Page, id string) {
	t.Helper()
	for range 300 {
		if browsertest.Value[string](p, "document.activeElement.id") == id {
			return
		}
		p.Keys(kb.Tab)
	}
	t.Fatalf("the tab key never comes to %s", id)
}

// testExplainByKeyboard never touches a pointer.
func testExplainByKeyboard(t *testing.T, p *browsertest.Page) {
	tabTo(t, p, "explain-sql")
	p.Keys("SELECT count(*) FROM goods" + kb.Tab + kb.Tab + kb.Tab + kb.Enter)
	p.Await(`document.getElementById("question").open && document.activeElement.id == "question-token"`)
	p.Keys("open-sesame" + kb.Enter)
	p.Await(`document.getElementById("explain-said").textContent == "It is cached, for 9s at most."`)
	facts := p.Text("explained")
	for _, want := range []string{"public.goods", "short", "strict", "a write through pgrecall to public.goods", "Fingerprint"} {
		if !strings.Contains(facts, want) {
			t.Errorf("no %q in\n%s", want, facts)
		}
	}
	if id := browsertest.Value[string](p, `document.activeElement.textContent`); id != "Explain" {
		t.Errorf("the focus is on %q", id)
	}
	// The token is known now; Ctrl+Enter will do.
	for sql, want := range map[string]string{
		"SELECT random()":         "It is not cached: volatile_function.",
		"DELETE FROM visit":       "It writes.",
		"SELECT 1 FROM nowhere x": "It is not cached: unknown_relation.",
	} {
		browsertest.Value[bool](p, `document.getElementById("explain-sql").focus(), document.getElementById("explain-sql").select(), true`)
		p.Keys(sql)
		p.Keys(kb.Enter, chromedp.KeyModifiers(chromedp.ModifierCtrl))
		p.Await(`!["", "Asking…", "It is cached, for 9s at most."].includes(document.getElementById("explain-said").textContent) && document.getElementById("explained").textContent.includes("Database")`)
		if got := p.Text("explain-said"); got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
	p.Screenshot("explained")
}

// testFlushByPage: a page that is loaded anew knows no token.
func testFlushByPage(t *testing.T, p *browsertest.Page, s serving) {
	p.Do(chromedp.Reload())
	p.Await(`document.querySelectorAll("#tier-list progress").length`)
	held := statusOf(t, s).Tiers[0].Entries
	if held == 0 {
		t.Fatal("nothing is cached")
	}
	browsertest.Value[bool](p, `document.querySelector("#flush-form button").click(), true`)
	for _, token := range []string{"wrong", "open-sesame"} {
		p.Await(`document.getElementById("question").open && document.activeElement.id == "question-token" && document.activeElement.value == ""`)
		p.Keys(token + kb.Enter)
		if token == "wrong" {
			p.Await(`document.getElementById("question-error").textContent == "The token was refused."`)
			if n := statusOf(t, s).Tiers[0].Entries; n != held {
				t.Errorf("%d of %d entries after a wrong token", n, held)
			}
		}
	}
	p.Await(`/^Flushed everything: \d+ entr(y|ies) removed\.$/.test(document.getElementById("said-text").textContent)`)
	if n := statusOf(t, s).Tiers[0].Entries; n != 0 {
		t.Errorf("%d entries after the flush", n)
	}
	browsertest.Value[bool](p, `document.getElementById("explain-user").value = "nobody_at_all", document.getElementById("explain-sql").value = "SELECT 1", document.getElementById("explain-form").requestSubmit(), true`)
	p.Await(`document.getElementById("explain-said").textContent == 'Not explained: the upstream has no role "nobody_at_all"'`)
	s.logs.await(t, `msg="cache flushed" removed=[1-9]`)
	p.Await(`document.querySelector("#tier-list tbody tr").cells[1].textContent == "0"`)
	if slices.ContainsFunc(p.Requests(), func(address string) bool { return strings.Contains(address, "sesame") }) {
		t.Error("the token is in an address")
	}
}
