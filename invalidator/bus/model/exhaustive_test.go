//go:build !race

package model

import "testing"

func TestNobodyReadsTheOld(t *testing.T) {
	for name, o := range worlds() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.Limit = 1_500_000
			r := Explore(o)
			t.Logf("%d states", r.States)
			if r.Violation != "" {
				t.Fatalf("%s: %q", r.Violation, r.Trace)
			}
			if !r.Complete {
				t.Fatal("not all interleavings")
			}
		})
	}
}

func TestEachStepIsNeeded(t *testing.T) {
	for _, c := range []struct {
		name  string
		left  Without
		world string
	}{
		{"a write waits for its fence", FenceWait, "nothing fails"},
		{"the stamp comes first", StampFirst, "nothing fails"},
		{"a hit looks at the lease", LeaseCheck, "nothing fails"},
		{"the lease before the stamp", LeaseBeforeStamp, "nothing fails"},
		{"a new epoch waits for the leases of the old", EpochWait, "Redis loses its data"},
		{"a joiner invalidates", InvalidateAtJoin, "nothing fails"},
		{"a joiner learns of fences", FencesAtJoin, "nothing fails"},
		{"a joiner announces its own", AnnounceAtJoin, "Redis loses its data"},
		{"who is alone waits", AloneWait, "one is cut off"},
		{"who was alone says so", AllAfterAlone, "one is cut off"},
		{"a write that ends outside is told of", TellOfEnds, "Redis loses its data"},
		{"silence is noticed", Trust, "one is cut off"},
		{"fences of the dead stay", FencesOfDead, "one dies"},
		{"the dead must have settled", SettleDead, "one is cut off and dies"},
		{"late beats vouch for nobody", TrustOfAnswers, "one is cut off"},
		{"L2 is judged by the log", Position, "nothing fails"},
		{"own writes are known at once", PendingOwn, "each client's own writes"},
		{"the end of a fence invalidates", InvalidateAtEnd, "nothing fails"},
		{"who does not wait is not trusted", Vouch, "one is not strict"},
		{"who waits has told of what did not", VouchAfterLog, "one is not strict"},
		{"who comes when nobody watched knows nothing of before", Floor, "nobody is there for a while"},
		{"who is silent is no witness", WitnessBeat, "nobody is there for a while"},
		{"whom to wait for is read with the append", MembersInOneStep, "nothing fails"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := worlds()[c.world]
			o.Without, o.Limit = c.left, 1_500_000
			r := Explore(o)
			if r.Violation == "" {
				t.Fatalf("left out, and nobody notices in %d states (all: %v)", r.States, r.Complete)
			}
			t.Logf("after %d states and %d steps: %s", r.States, len(r.Trace), r.Violation)
		})
	}
}
