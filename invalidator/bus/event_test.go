package bus

import (
	"reflect"
	"testing"
)

func FuzzEvent(f *testing.F) {
	for _, e := range []event{
		{kind: kindFence, awaited: true, process: 1, number: 2, tags: Tags{Database: "db", Flush: &Flush{Table: "a.b", Tenant: "t", Fingerprint: 1 << 63}}},
		{kind: kindFence, process: 1, number: 2, tags: Tags{Flush: &Flush{}}},
		{kind: kindFence, awaited: true, process: 1, number: 2, tags: Tags{Database: "db", Relations: []uint32{3, 4}, Backend: 5}},
		{kind: kindBump, tags: Tags{Database: "ä", Whole: true, Definition: true, Cluster: true, Settings: true}},
		{kind: kindLeave, process: 7},
	} {
		f.Add(string(e.encode()))
	}
	f.Add("")
	f.Add("\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
	f.Fuzz(func(t *testing.T, s string) {
		e, err := decode(s)
		if err != nil {
			return
		}
		again, err := decode(string(e.encode()))
		if err != nil || !reflect.DeepEqual(e, again) {
			t.Errorf("%+v is read as %+v: %v", e, again, err)
		}
	})
}
