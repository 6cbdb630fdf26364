// Package comparison measures the caches that the memory tier could be built on: the benchmarks
// and tests here produced the table in docs/l1.md, which tells how to repeat them. Nothing
// outside its tests belongs here, and nothing may import it.
package comparison
