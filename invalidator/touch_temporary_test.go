package invalidator

import (
	"slices"
	"testing"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/parser"
)

func TestTouchesOfASessionWithTemporaryRelations(t *testing.T) {
	f := newTouchFixture(t)
	var names map[string]bool
	touches := func(sql string) Touched {
		return Touches(parser.Analyze(sql), []string{"pg_temp_3", "pg_catalog", "public"}, catalog.Temporary{Exists: true, Names: names}, f.snapshot, nil)
	}
	if got := touches("DELETE FROM x"); !got.Whole {
		t.Errorf("a write to nobody knows what: %+v", got)
	}
	if got := touches("SELECT * FROM x"); !got.Nothing() {
		t.Errorf("a read of a temporary relation: %+v", got)
	}
	if got := touches("DELETE FROM plain"); len(got.Relations) != 1 {
		t.Errorf("a write to what may be shadowed: %+v", got)
	}
	if got := touches("DELETE FROM pg_temp.x"); !got.Whole {
		t.Errorf("a write to what may be a view: %+v", got)
	}

	names = map[string]bool{"log": false}
	if got := touches("DELETE FROM boss"); !got.Whole {
		t.Errorf("a trigger's write to a temporary relation that is no plain table: %+v", got)
	}

	names = map[string]bool{"x": true, "v": false, "plain": true, "loud": true, "noisy": false}
	for sql, want := range map[string][]string{
		"DELETE FROM x":                    nil,
		"DELETE FROM pg_temp.x":            nil,
		"COPY x FROM STDIN":                nil,
		"INSERT INTO parent SELECT FROM x": {"parent"},
		"DELETE FROM plain":                {"plain"}, // the temporary one may be gone
		"DELETE FROM public.plain":         {"plain"},
		"DELETE FROM pg_temp.plain":        nil,
		"DELETE FROM boss":                 {"boss", "log", "minion"}, // a trigger's function finds no temporary log
		"DELETE FROM v":                    whole,                     // a temporary view passes writes on
		"DELETE FROM pg_temp.v":            whole,
		"DELETE FROM pg_temp.nowhere":      whole,
		"DELETE FROM nowhere":              whole,
		"DELETE FROM public.x":             whole,
		"SELECT * FROM x, pg_temp.x":       nil,
		"SELECT * FROM v":                  whole, // and calls what nobody sees
		"SELECT * FROM pg_temp.v":          whole,
		"SELECT * FROM public.v":           whole,
		"SELECT * FROM loud":               {"log"},
		"SELECT NULL::x":                   nil,
		"SELECT NULL::v":                   whole,
		"SELECT 1::noisy":                  whole,
		"SELECT NULL::plain":               nil,
	} {
		got := touches(sql)
		if got.Whole != slices.Equal(want, whole) || !got.Whole && !slices.Equal(f.names(got.Relations), want) {
			t.Errorf("%s: %+v, want %v", sql, got, want)
		}
	}
}
