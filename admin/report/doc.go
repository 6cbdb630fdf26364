// Package report says what a cache was worth: what it saved, or in shadow mode what it would have saved, table by table and shape by shape,
// what is risky, and which rules to write.
//
// Make is a pure function of what the admin server of a running pgrecall says; Text, JSON, HTML and YAML write its result. It must never need
// or show parameters and rows: there are none in what it is made from, but names and texts may be hostile, and no output may be led astray by
// them. What it proposes must never weaken what a client may rely on.
package report
