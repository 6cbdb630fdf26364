package cachepolicy_test

import (
	"testing"

	"github.com/pgrecall/pgrecall/cachepolicy"
)

func TestTemporaryRelationsShadow(t *testing.T) {
	f := newFixture(t)
	for _, tc := range []struct {
		sql              string
		unknown, shadows bool // with what is known of the names below
	}{
		{"SELECT * FROM users", true, true},
		{"SELECT * FROM orders", true, false},
		{"SELECT * FROM orders WHERE id IN (SELECT id FROM users)", true, true},
		{"SELECT * FROM public.users", false, false},
		{"SELECT * FROM pg_temp.users", true, true},
		{"SELECT * FROM adults", true, false}, // the view's own names don't change
		{"SELECT amount::text FROM public.orders", true, false},
		{"SELECT 'fair'::mood FROM public.orders", true, true},
		{"SELECT mood(day) FROM public.orders", false, false}, // a cast in function notation finds no temporary type
		{"SELECT 'fair'::public.mood FROM public.orders", false, false},
		{"SELECT lower(day) FROM public.orders", false, false},
		{"SELECT current_setting('a.b') FROM public.orders", true, false},
	} {
		f.scope.Temporary = true
		for _, names := range []map[string]bool{nil, {"users": true, "mood": false, "lower": true}} {
			f.scope.TemporaryNames = names
			want := tc.unknown
			if names != nil {
				want = tc.shadows
			}
			if d := f.decide(tc.sql); (d.Verdict == cachepolicy.Bypass) != want {
				t.Errorf("%s with names %v: %+v", tc.sql, names, d)
			}
		}
		f.scope.Temporary = false
		if d := f.decide(tc.sql); d.Verdict != cachepolicy.Cache && d.Reason != cachepolicy.ReasonTemporary {
			t.Errorf("%s without temporary relations: %+v", tc.sql, d)
		}
	}
}
