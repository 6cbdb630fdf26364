// Command bench measures pgrecall side by side with PostgreSQL itself, with the floor of what a
// proxy written in Go can cost, and with the peers that are installed on the machine.
//
// All servers run at the same time and take turns, round after round, so that a noisy machine
// disturbs all of them alike; ratios are taken within a round and the median of the rounds is
// printed. What is measured, and how to read it, is in docs/bench.md.
//
// It must never print a figure that it did not measure in this run, and never leave out a peer
// or a failed measurement without naming it.
package main
