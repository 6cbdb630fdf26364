// Package parser says what one SQL text means to a cache: its canonical text, the kind of each of
// its commands, the relations, functions, operators and casts that they name.
//
// It states facts about syntax and judges nothing: it knows no catalog, no session and no policy, does
// no input or output, and keeps nothing but what Cache is asked to keep. Two of its promises carry the
// rest of the product:
//
//   - Texts with equal canonical text have equal parse trees (PostgreSQL's gram.y, locations aside), so
//     a canonical text may stand for its text in a key.
//   - A text that is not understood says so (Statement.Err, Command.Unsupported, KindUnknown). Nothing is
//     left out in silence.
//
// It must never panic, never exhaust the stack of the C parser underneath (see bounds.go), and never
// use pg_query's fingerprint for anything but grouping.
package parser
