// Package config loads pgrecall's settings: a flag over its environment variable over the YAML
// file over the default. Every setting is one row of the table in settings.go, which all three
// sources and --help share, so that a value means the same wherever it is written.
//
// Decoding is strict. Unknown keys, values that can't be meant and combinations that can't work
// are errors with their place in the file, all of them at once.
//
// It must never open a connection, write to a log or let a secret into an error.
package config
