package proxy_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

func startHot(t *testing.T, n int) *running {
	t.Helper()
	return startOn(t, pgtest.Shared(t).NewDatabase(t), func(o *proxy.Options) { o.HotKeys = n },
		`CREATE TABLE item (id int PRIMARY KEY, name text)`, `INSERT INTO item SELECT i, 'n' || i FROM generate_series(0, 999) i`)
}

func TestHotKeysAreWhatClientsSent(t *testing.T) {
	r := startHot(t, 100)
	c := r.connect("TimeZone=Asia/Tokyo", "application_name=shop", "options='-c extra_float_digits=2'")
	const query = "/* whose */ SELECT name  FROM item WHERE id = $1"
	for _, mode := range modes {
		value(t, c, query, mode, 1)
	}
	if _, err := c.PgConn().Prepare(bounded(t), "named", query, []uint32{20}); err != nil {
		t.Fatal(err)
	}
	if err := c.PgConn().ExecPrepared(bounded(t), "named", [][]byte{[]byte("1")}, nil, nil).Read().Err; err != nil {
		t.Fatal(err)
	}
	mustExec(t, c, "SET app.tenant = 'x'")
	value(t, c, "SELECT name FROM item WHERE name = current_setting('app.tenant')")
	hot := r.Hot(100)
	seen := map[string]int{}
	for _, h := range hot {
		if h.Database != r.Database || h.User != "postgres" || h.Role != "postgres" || len(h.Scope) != 16 || h.Fingerprint == 0 || h.Uses < 0.9 {
			t.Errorf("%+v", h)
		}
		if want := map[string]string{"TimeZone": "Asia/Tokyo", "options": "-c extra_float_digits=2"}; !reflect.DeepEqual(h.Session, want) {
			t.Errorf("session %v", h.Session)
		}
		seen[fmt.Sprintln(h.Text, h.Extended, h.Types, h.ParamFormats, h.Params, h.ResultFormats, h.Settings)]++
	}
	text, binary := fmt.Sprint([][]byte{{'1'}}), fmt.Sprint([][]byte{{0, 0, 0, 1}})
	const byID = "select name from item where id = $1"
	for _, want := range []string{
		fmt.Sprintln("select name from item where id = '1'", false, "[] [] [] [] []"),
		fmt.Sprintln(byID, true, "[]", "[1]", binary, "[0] []"),
		fmt.Sprintln(byID, true, "[23]", "[1]", binary, "[0] []"),
		fmt.Sprintln(byID, true, "[]", "[0]", text, "[] []"),
		fmt.Sprintln(byID, true, "[20]", "[]", text, "[] []"),
		fmt.Sprintln("select name from item where name = current_setting('app.tenant')", true, "[] [] [] [0] [app.tenant]"),
	} {
		if seen[want] != 1 {
			t.Errorf("no %q", want)
		}
	}
	if t.Failed() {
		t.Logf("%#v", seen)
	}
}

func TestTheMostUsedAreFirst(t *testing.T) {
	for _, n := range []int{1000, 20} {
		r := startHot(t, n)
		c := r.connect()
		const query = "SELECT name FROM item WHERE id = $1"
		for i := range 100 { // each once
			value(t, c, query, i)
		}
		for range 2000 { // sampled: 31 of each are noted, give or take 6
			value(t, c, query, 7)
			value(t, c, query, 8)
		}
		var first []int
		for _, h := range r.Hot(2) {
			first = append(first, int(h.Params[0][3]))
			if n == 1000 && (h.Uses < 500 || h.Uses > 4500) {
				t.Errorf("%v uses of %v, not about 2000", h.Uses, h.Params)
			}
		}
		if slices.Sort(first); !slices.Equal(first, []int{7, 8}) {
			t.Errorf("%d are remembered; the hottest are %v", n, first)
		}
		eventually(t, "no more are remembered than wanted", func() bool { return len(r.Hot(1000)) <= n })
		if all := len(r.Hot(1000)); all < 10 {
			t.Errorf("%d are remembered", all)
		}
	}
}

func TestNothingIsRememberedUnlessAsked(t *testing.T) {
	r := startHot(t, 0)
	c := r.connect()
	for range 200 {
		value(t, c, "SELECT name FROM item WHERE id = $1", 1)
	}
	if hot := r.Hot(100); hot != nil {
		t.Errorf("%+v", hot)
	}
}
