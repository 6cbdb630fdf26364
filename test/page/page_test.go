package page

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/pgrecall/pgrecall/admin"
	"github.com/pgrecall/pgrecall/internal/browsertest"
)

// shown is true once all of the page has been filled by its script.
const shown = `document.querySelectorAll("#statement-list tbody tr").length && document.querySelectorAll("#table-list tbody tr").length && document.querySelectorAll("#outcome-list tbody tr").length && document.querySelectorAll("#curves svg path").length > 6`

// TestPage takes the page through all states; one Chromium is enough for all of them.
func TestPage(t *testing.T) {
	b := browsertest.Start(t)
	t.Run("much", func(t *testing.T) { testMuch(t, b) })
	t.Run("nothing", func(t *testing.T) { testNothing(t, b) })
	t.Run("hostile", func(t *testing.T) { testHostile(t, b) })
	t.Run("token", func(t *testing.T) { testToken(t, b) })
	t.Run("states", func(t *testing.T) { testStates(t, b) })
	t.Run("gone", func(t *testing.T) { testGone(t, b) })
	t.Run("without script", func(t *testing.T) { testWithoutScript(t, b) })
}

// look asks the server at once, and waits until an expression is true.
func look(p *browsertest.Page, expression string) {
	browsertest.Value[bool](p, "again(), true")
	p.Await(expression)
}

// loaded keeps the figures moving until the test ends.
func loaded(t *testing.T, f *figures) {
	t.Helper()
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for turn := 0; ; turn++ {
			f.load(turn)
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-ended })
}

// clean reports what the page complained of, and what it asked others for.
func clean(t *testing.T, p *browsertest.Page) {
	t.Helper()
	if all := p.Complaints(); len(all) > 0 {
		t.Errorf("the page complains: %q", all)
	}
	if all := p.Foreign(); len(all) > 0 {
		t.Errorf("requests to others: %q", all)
	}
}

// testMuch: a thousand of everything stays usable, on all screens.
func testMuch(t *testing.T, b *browsertest.Browser) {
	f := many(1000)
	loaded(t, f)
	address, _ := serve(t, f, "")
	for name, view := range map[string]browsertest.View{"light": {}, "dark": {Dark: true}, "phone": {Width: 390, Height: 844, Phone: true}, "phone-dark": {Width: 390, Height: 844, Phone: true, Dark: true}} {
		t.Run(name, func(t *testing.T) {
			p := b.Open(t, "http://"+address+"/", view)
			p.Await(shown)
			if n := browsertest.Value[int](p, `document.querySelectorAll("tr").length`); n > 200 {
				t.Errorf("%d rows at once", n)
			}
			if over := browsertest.Value[float64](p, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
				t.Errorf("the page is %g px wider than the screen", over)
			}
			p.Screenshot("much-" + name)
			p.CheckNames(t)
			clean(t, p)
			if view.Dark == view.Phone { // both schemes, both layouts
				for _, v := range p.Violations(shown) {
					t.Error(v)
				}
			}
		})
	}
	p := b.Open(t, "http://"+address+"/", browsertest.View{})
	p.Await(shown)
	rows := func() int {
		return browsertest.Value[int](p, `document.querySelectorAll("#table-list tbody tr").length`)
	}
	if rows() != 10 {
		t.Errorf("%d rows", rows())
	}
	browsertest.Value[bool](p, `document.querySelector("#tables .more").click(), true`)
	if rows() != 35 {
		t.Errorf("%d rows after more", rows())
	}
	browsertest.Value[bool](p, `document.getElementById("table-list-filter").focus(), true`)
	p.Keys("orders_99")
	p.Await(`document.querySelectorAll("#table-list tbody tr").length == 10`)
	if told := browsertest.Value[string](p, `document.querySelector("#tables .told").textContent`); told != "10 of 11 that fit, of 1,000" {
		t.Errorf("%q", told)
	}
	sortBy := func(title string) string {
		return browsertest.Value[string](p, `(() => {
			const th = [...document.querySelectorAll("#table-list th")].find((th) => th.textContent == "`+title+`");
			th.querySelector("button").click();
			return th.getAttribute("aria-sort") + " " + document.querySelectorAll("#table-list [aria-sort]").length + " " + document.querySelector("#table-list tbody code").textContent;
		})()`)
	}
	for _, test := range []struct{ title, want string }{
		{"Table", "ascending 1 public.orders_99"}, {"Table", "descending 1 public.orders_999"}, {"Reads", "descending 1 public.orders_99"}, {"Reads", "ascending 1 public.orders_999"},
	} {
		if got := sortBy(test.title); got != test.want {
			t.Errorf("%s: %q, want %q", test.title, got, test.want)
		}
	}
	// What is focused and unfolded stays so when the figures change.
	browsertest.Value[bool](p, `document.querySelector("#statement-list details").open = true, document.querySelector("#statement-list tbody button").focus(), window.held = document.activeElement, true`)
	f.change(func() {
		f.traffic.Statements = append([]admin.Statement{}, f.traffic.Statements...)
		for i := range f.traffic.Statements {
			f.traffic.Statements[i].Seconds = float64(i)
			f.traffic.Statements[i].SecondsSaved = 31
		}
	})
	browsertest.Value[bool](p, `again(), true`)
	p.Await(`document.querySelector("#statement-list tbody tr").cells[4].innerText == "31.0 s"`)
	if !browsertest.Value[bool](p, `document.activeElement === held && held.isConnected && document.querySelector("#statement-list details").open`) {
		t.Error("focus or what was unfolded is gone")
	}
	clean(t, p)
}

// testNothing: a pgrecall that has seen no client.
func testNothing(t *testing.T, b *browsertest.Browser) {
	address, _ := serve(t, none(), "")
	p := b.Open(t, "http://"+address+"/", browsertest.View{Width: 390, Height: 844, Phone: true})
	p.Await(`document.querySelector("#statement-list tbody")?.textContent == "none yet" && document.querySelector("#connection-list tbody")?.textContent == "no client is connected"`)
	for id, want := range map[string]string{"hit-rate": "0.0%", "hits": "0", "saved": "0 s", "clients": "0"} {
		if got := p.Text(id); got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
	for _, hidden := range []string{"gone", "unready", "mode", "doubts", "different", "stopped"} {
		if browsertest.Value[bool](p, `document.getElementById("`+hidden+`").checkVisibility()`) {
			t.Errorf("%s shows", hidden)
		}
	}
	p.Screenshot("nothing")
	clean(t, p)
	for _, v := range p.Violations("document.querySelector('#statement-list tbody')?.textContent == 'none yet'") {
		t.Error(v)
	}
}

// testHostile: names and texts of clients are text, wherever they show.
func testHostile(t *testing.T, b *browsertest.Browser) {
	const evil = `"><img src=x onerror="window.evil=1"><script>window.evil=2</script>'--\u202e</td><style>body{display:none}</style>`
	f := many(3)
	s := &f.status
	s.Version, s.Upstream, s.Listen = evil, evil, []string{evil}
	s.Statements[evil], s.Bypasses[evil], s.Invalidations[evil], s.Verifications[evil] = 5, 6, 7, 8
	s.Tiers[0].Name, s.Tiers[0].Evictions, s.L2.LastError = evil, map[string]uint64{evil: 1}, evil
	s.Doubts[0].Tables, s.Stopped[0].Query = evil, evil
	long := evil + strings.Repeat("x", 500)
	f.traffic.Statements[0].Query, f.traffic.Statements[1].Query, f.traffic.Statements[0].Tables, f.traffic.Statements[0].Rule, f.traffic.Statements[0].Database = evil, long, []string{evil}, evil, evil
	f.tables[0].Name, f.tables[0].Rule, f.tables[0].Partly, f.tables[0].Database, f.tables[0].Consistency = evil, evil, []string{evil}, evil, evil
	f.clients[0] = admin.Client{Role: evil, Database: evil, Address: evil, State: evil}
	f.reads[0] = admin.Uncached{Fingerprint: evil, Database: evil, Query: long, Reason: evil, Detail: evil, Meaning: evil, Change: evil, Count: 1, Seconds: 100}
	address, _ := serve(t, f, "")
	p := b.Open(t, "http://"+address+"/", browsertest.View{Width: 390, Height: 844, Phone: true})
	p.Await(`document.querySelectorAll("#statement-list tbody tr").length == 3 && document.querySelectorAll("#connection-list tbody tr").length == 3`)
	// Into the dialog, the message and the explanation, too.
	browsertest.Value[bool](p, `[...document.querySelectorAll("#table-list button")].find((b) => b.getAttribute("aria-label")?.includes("onerror")).click(), true`)
	p.Await(`document.getElementById("question").open`)
	browsertest.Value[bool](p, `document.getElementById("question-go").click(), true`)
	p.Await(`document.getElementById("said").checkVisibility() && document.getElementById("said-text").textContent.includes("onerror")`)
	browsertest.Value[bool](p, `document.getElementById("explain-sql").value = "`+strings.ReplaceAll(strings.ReplaceAll(evil, `"`, `\"`), "\\u", "\\\\u")+`", document.getElementById("explain-form").requestSubmit(), true`)
	p.Await(`document.getElementById("explained").textContent.includes("onerror")`)
	if n := browsertest.Value[int](p, `document.querySelectorAll("img, iframe, link, object, embed").length + document.scripts.length + document.querySelectorAll("style").length`); n != 2 {
		t.Errorf("%d elements that were not there", n)
	}
	if browsertest.Value[bool](p, `"evil" in window`) {
		t.Error("it ran")
	}
	if over := browsertest.Value[float64](p, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		t.Errorf("the page is %g px wider than the screen", over)
	}
	if last := locked(f, func() admin.Selection { return f.flushed[len(f.flushed)-1] }); last.Table != evil || last.Database != evil {
		t.Errorf("flushed %+v", last)
	}
	clean(t, p)
}

// testToken: a wrong token is told, the right one is asked for once and kept nowhere.
func testToken(t *testing.T, b *browsertest.Browser) {
	f := many(2)
	address, _ := serve(t, f, "open-sesame")
	p := b.Open(t, "http://"+address+"/", browsertest.View{})
	p.Await(`document.querySelectorAll("#statement-list tbody tr").length`)
	submit := func(token string) {
		t.Helper()
		p.Await(`document.getElementById("question").open && document.activeElement.id == "question-token"`)
		p.Keys(token + kb.Enter)
	}
	browsertest.Value[bool](p, `document.querySelector("#flush-form button").click(), true`)
	submit("wrong")
	p.Await(`document.getElementById("question-error").textContent == "The token was refused."`)
	p.Screenshot("token")
	if len(locked(f, func() []admin.Selection { return f.flushed })) > 0 {
		t.Error("flushed with a wrong token")
	}
	submit("open-sesame")
	p.Await(`document.getElementById("said-text").textContent == "Flushed everything: 5 entries removed."`)
	// Once is enough, but each change is asked for.
	browsertest.Value[bool](p, `document.getElementById("flush-what").value = "table", document.getElementById("flush-what").dispatchEvent(new Event("change")), document.getElementById("flush-value").value = "public.orders_1", document.querySelector("#flush-form button").click(), true`)
	p.Await(`document.getElementById("question").open`)
	if browsertest.Value[bool](p, `document.getElementById("question-token").checkVisibility()`) {
		t.Error("the token is asked for again")
	}
	p.Keys(kb.Escape)
	p.Await(`!document.getElementById("question").open`)
	if n := len(locked(f, func() []admin.Selection { return f.flushed })); n != 1 {
		t.Errorf("%d flushes after Escape", n)
	}
	browsertest.Value[bool](p, `document.querySelector("#flush-form button").click(), true`)
	p.Await(`document.getElementById("question").open`)
	browsertest.Value[bool](p, `document.getElementById("question-go").click(), true`)
	p.Await(`document.getElementById("said-text").textContent.includes("Table public.orders_1") || document.getElementById("said-text").textContent.includes("table public.orders_1")`)
	// What is refused for another reason is told.
	browsertest.Value[bool](p, `document.getElementById("flush-what").value = "tenant", document.getElementById("flush-what").dispatchEvent(new Event("change")), document.querySelector("#flush-form button").click(), true`)
	p.Await(`document.getElementById("question").open`)
	browsertest.Value[bool](p, `document.getElementById("question-go").click(), true`)
	p.Await(`document.getElementById("said-text").textContent == "Not flushed: cache.l2.tenant is none"`)
	// Doubts are allowed again with the token, too.
	browsertest.Value[bool](p, `document.querySelector("#doubt-list button").click(), true`)
	p.Await(`document.getElementById("question").open`)
	browsertest.Value[bool](p, `document.getElementById("question-go").click(), true`)
	look(p, `!document.getElementById("doubts").checkVisibility()`)
	f.change(func() {
		if len(f.flushed) != 2 || f.flushed[1] != (admin.Selection{Table: "public.orders_1"}) || len(f.allowed) != 1 || f.allowed[0] != 255 {
			t.Errorf("%+v %v", f.flushed, f.allowed)
		}
	})
	if kept := browsertest.Value[string](p, `JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + document.cookie + document.getElementById("question-token").value + document.documentElement.outerHTML`); strings.Contains(kept, "open-sesame") {
		t.Error("the token is kept")
	}
	for _, address := range p.Requests() {
		if strings.Contains(address, "sesame") {
			t.Errorf("the token is in %s", address)
		}
	}
}

// testStates: what the cache does and whether it can is told in words.
func testStates(t *testing.T, b *browsertest.Browser) {
	f := many(2)
	address, _ := serve(t, f, "")
	p := b.Open(t, "http://"+address+"/", browsertest.View{})
	p.Await(`document.querySelectorAll("#statement-list tbody tr").length`)
	browsertest.Value[bool](p, `document.getElementById("pause").click(), true`)
	p.Await(`document.getElementById("question").open`)
	browsertest.Value[bool](p, `document.getElementById("question-go").click(), true`)
	look(p, `document.getElementById("cache").textContent == "paused" && document.getElementById("mode").textContent.startsWith("The cache is paused") && document.getElementById("pause").textContent == "Resume the cache…"`)
	if !f.Paused() {
		t.Error("not paused")
	}
	browsertest.Value[bool](p, `document.getElementById("pause").click(), true`)
	p.Await(`document.getElementById("question").open`)
	browsertest.Value[bool](p, `document.getElementById("question-go").click(), true`)
	look(p, `document.getElementById("cache").textContent == "on" && !document.getElementById("mode").checkVisibility()`)
	for mode, want := range map[string]string{"shadow": "Shadow mode", "off": "The cache is off"} {
		f.change(func() { f.status.Cache = mode })
		look(p, `document.getElementById("cache").textContent == "`+mode+`" && document.getElementById("mode").checkVisibility() && document.getElementById("mode").textContent.startsWith("`+want+`")`)
	}
	f.change(func() {
		f.traffic.Statements = append([]admin.Statement{}, f.traffic.Statements...)
		s := &f.traffic.Statements[0]
		s.Counts = admin.Counts{Bypasses: 10, WouldHits: 8, WouldSecondsSaved: 2}
	})
	look(p, `[...document.querySelectorAll("#statement-list tbody tr")].some((row) => row.cells[1].innerText.includes("would be 80.0%") && row.cells[4].innerText.includes("would be 2.00 s"))`)
	f.change(func() { f.ready = os.ErrDeadlineExceeded })
	look(p, `document.getElementById("unready").checkVisibility() && document.getElementById("unready").textContent == "Not ready: i/o timeout"`)
	f.change(func() { f.ready, f.status.Fleet.Live = nil, false; f.status.L2.Up = true })
	look(p, `!document.getElementById("unready").checkVisibility() && document.querySelector("#shared .bad").textContent.startsWith("not certain")`)
	// Updating can be stopped, by the keyboard.
	browsertest.Value[bool](p, `document.getElementById("live").focus(), true`)
	p.Keys(kb.Enter)
	p.Await(`document.getElementById("live").getAttribute("aria-pressed") == "true"`)
	before := len(p.Requests())
	f.change(func() { f.status.ClientConnections = 77 })
	time.Sleep(2500 * time.Millisecond) // nothing is to happen for longer than a poll takes
	if after := len(p.Requests()); after > before+1 || p.Text("clients") == "77" {
		t.Errorf("%d requests more while updating is stopped", after-before)
	}
	p.Keys(kb.Enter)
	p.Await(`document.getElementById("clients").textContent == "77"`)
	clean(t, p)
}

// testGone: the page says that the server does not answer, and goes on when it does.
func testGone(t *testing.T, b *browsertest.Browser) {
	f := many(2)
	address, stop := serve(t, f, "")
	p := b.Open(t, "http://"+address+"/", browsertest.View{})
	p.Await(`document.querySelectorAll("#statement-list tbody tr").length`)
	stop()
	p.Await(`document.getElementById("gone").checkVisibility() && document.getElementById("gone").textContent.includes("cannot be reached")`)
	p.Screenshot("gone")
	browsertest.Value[bool](p, `document.querySelector("#flush-form button").click(), true`)
	p.Await(`document.getElementById("question").open`)
	browsertest.Value[bool](p, `document.getElementById("question-go").click(), true`)
	p.Await(`document.getElementById("said-text").textContent == "Not flushed: pgrecall does not answer"`)
	f.change(func() { f.status.ClientConnections = 78 })
	serveAt(t, f, "", address)
	p.Await(`!document.getElementById("gone").checkVisibility() && document.getElementById("clients").textContent == "78"`)
	if all := p.Foreign(); len(all) > 0 {
		t.Errorf("requests to others: %q", all)
	}
}

// testWithoutScript: the server's own figures are all there, and nothing that needs a script shows.
func testWithoutScript(t *testing.T, b *browsertest.Browser) {
	address, _ := serve(t, many(5), "")
	p := b.Open(t, "http://"+address+"/", browsertest.View{WithoutScript: true, Width: 390, Height: 844, Phone: true})
	names := map[string]bool{}
	for _, n := range p.Controls() {
		names[n.Role] = true
	}
	if len(names) != 1 || !names["link"] {
		t.Errorf("%v", names)
	}
	text := strings.Join(p.Texts(), "\n")
	for _, want := range []string{"92.9%", "5630321", "45321.5 s", "volatile_function", "201.0 MiB", "public.account", "3 members", "connection refused", "in_band"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	p.Screenshot("without-script")
}
