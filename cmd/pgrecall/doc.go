// Command pgrecall is a caching proxy for PostgreSQL. This package is flags, wiring and one file
// per subcommand.
//
// It must never decide anything about an answer: that is the work of the packages that it wires.
package main
