package parser

import "testing"

const (
	simpleText = "SELECT id, name, email FROM users WHERE id = $1 AND active = 1"

	// 300 bytes with the comment that sqlcommenter adds.
	commentedText = "SELECT o.id, o.total, o.created_at, c.name FROM orders o JOIN customers c ON c.id = o.customer_id " +
		"WHERE o.status = 'shipped' AND c.region = 'EU' ORDER BY o.created_at DESC LIMIT 50 " +
		"/*action='index',controller='orders',framework='rails',traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01'*/"

	fiveTables = "SELECT o.id, c.name, sum(i.quantity * p.price) AS total FROM orders o JOIN customers c ON c.id = o.customer_id " +
		"JOIN items i ON i.order_id = o.id JOIN products p ON p.id = i.product_id LEFT JOIN discounts d ON d.product_id = p.id " +
		"AND d.region = c.region WHERE o.status = 'shipped' AND c.region IN ('EU', 'US') AND coalesce(d.percent, 0) < 50 " +
		"GROUP BY o.id, c.name HAVING count(*) > 1 ORDER BY total DESC LIMIT 20"
)

func benchmarkCanonicalize(b *testing.B, text string) {
	source, dst := []byte(text), make([]byte, 0, 1024)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, _, ok := Canonicalize(dst, source); !ok {
			b.Fatal("not ok")
		}
	}
}

func BenchmarkCanonicalizeSimple(b *testing.B)    { benchmarkCanonicalize(b, simpleText) }
func BenchmarkCanonicalizeCommented(b *testing.B) { benchmarkCanonicalize(b, commentedText) }

func benchmarkAnalyze(b *testing.B, text string) {
	b.ReportAllocs()
	for b.Loop() {
		if s := Analyze(text); s.Err != nil {
			b.Fatal(s.Err)
		}
	}
}

func BenchmarkAnalyzeSimple(b *testing.B)     { benchmarkAnalyze(b, simpleText) }
func BenchmarkAnalyzeFiveTables(b *testing.B) { benchmarkAnalyze(b, fiveTables) }

func BenchmarkCacheGet(b *testing.B) {
	c := NewCache(1 << 20)
	key, _, _ := Canonicalize(nil, simpleText)
	c.Analyze(key)
	b.ReportAllocs()
	for b.Loop() {
		if c.Get(key) == nil {
			b.Fatal("miss")
		}
	}
}

func BenchmarkTimeWord(b *testing.B) {
	value := []byte("no monday, a todays menu for nobody")
	b.ReportAllocs()
	for b.Loop() {
		if TimeWord(value) {
			b.Fatal("found")
		}
	}
}
