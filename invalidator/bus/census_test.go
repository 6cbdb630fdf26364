package bus

import (
	"slices"
	"testing"
)

// TestMissingIsNewerThanABeat: a beat's answer lists a member, and by the time that the log is applied up to it, and further, the member has been declared
// missing. It may write alone from then on.
func TestMissingIsNewerThanABeat(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	one, other := f.all[0], f.all[1]
	fields, err := one.client.HGetAll(t.Context(), one.keys[0]).Result()
	if err != nil {
		t.Fatal(err)
	}
	list := []any{}
	for key, value := range fields {
		list = append(list, key, value)
	}
	s := readState(list)
	sent := one.clock.now()

	one.mu.Lock()
	m := one.member
	one.effect(m, s.seq+1, &event{kind: kindMissing, process: other.Process()})
	one.mu.Unlock()
	one.learn(m, s, sent)
	if !slices.Contains(one.Outside(), other.Process()) || one.Live() {
		t.Error("a process that may write alone is taken for a member")
	}
}
