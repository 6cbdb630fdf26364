package cache

import "testing"

var sinkKey Key

func BenchmarkKey(b *testing.B) {
	scope, statement := [32]byte{1}, [32]byte{2}
	text := make([]byte, 16<<10)
	for _, c := range []struct {
		name string
		size int
	}{{"60B", 60}, {"400B", 400}, {"16KiB", 16 << 10}} {
		b.Run("simple/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sinkKey = SimpleKey(&scope, text[:c.size])
			}
		})
		b.Run("extended/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sinkKey = ExtendedKey(&scope, &statement, text[:c.size])
			}
		})
	}
}
