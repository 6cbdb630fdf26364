// Package memory is the tier in this process, L1: entries in the heap, bounded in bytes, evicted by
// W-TinyLFU (otter), which keeps what is asked for often even while a scan passes by.
//
// A Get takes no lock that another Get or a Put holds, and allocates nothing. The package never judges
// an answer: whether an entry is fresh is for the caller of Get to decide at each hit, because rules
// and stamps change while an entry lies here. The sweep only frees memory; nothing depends on it.
// docs/l1.md tells how the engine was chosen and what it costs.
package memory
