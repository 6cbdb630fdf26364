package lint

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Level says how sure it is that a finding needs somebody.
type Level string

// Levels.
const (
	LevelError   Level = "error"   // the configuration does not do what it says
	LevelWarning Level = "warning" // it does, but hardly what was meant, or at a price
)

// Code is the kind of a finding, for programs: keep the words.
type Code string

// Codes.
const (
	CodeNoTable       Code = "no_table"       // a rule's table or schema is not there
	CodeNoDatabase    Code = "no_database"    // nor its database
	CodeNoUser        Code = "no_user"        // nor its role
	CodeHidden        Code = "hidden"         // an earlier rule or declaration decides
	CodePartition     Code = "partition"      // a rule is for partitions, statements name the parent
	CodeNotCached     Code = "not_cached"     // a rule's table, or one with row security, is never cached
	CodeUnlogged      Code = "unlogged"       // a crash empties it
	CodeLongTTL       Code = "long_ttl"       // longer than what consistency promises can be believed
	CodeStale         Code = "stale"          // answers get older than the TTL that is promised
	CodeReplicated    Code = "replicated"     // written by a subscription, past pgrecall
	CodeWholeDatabase Code = "whole_database" // a write or call invalidates everything
	CodeNoFunction    Code = "no_function"    // a declared function is not there
	CodeNoTrigger     Code = "no_trigger"     // nor a declared trigger
	CodeVoid          Code = "void"           // a declaration names a table that is not there
	CodeNeedless      Code = "needless"       // pgrecall knows without the declaration
	CodeContradicted  Code = "contradicted"   // the body does more than is declared
	CodeWritten       Code = "written"        // written more than read
	CodeNothingCached Code = "nothing_cached" // something keeps the whole database out of the cache
	CodeUpstream      Code = "upstream"       // a standby, a pooler
	CodeRights        Code = "rights"         // pgrecall's account lacks some
	CodeConfiguration Code = "configuration"  // a defect that was found without the server
)

// Codes are all codes, for documentation.
var Codes = [...]Code{ //nolint:gochecknoglobals // constant
	CodeNoTable, CodeNoDatabase, CodeNoUser, CodeHidden, CodePartition, CodeNotCached, CodeUnlogged, CodeLongTTL, CodeStale, CodeReplicated,
	CodeWholeDatabase, CodeNoFunction, CodeNoTrigger, CodeVoid, CodeNeedless, CodeContradicted, CodeWritten, CodeNothingCached, CodeUpstream,
	CodeRights, CodeConfiguration,
}

// Finding is one thing that is wrong or doubtful.
type Finding struct {
	Path   string // of the configuration, as rules[0].match.tables[1]; "" for what is in the database alone
	Object string // schema.name of the relation or function that it is about, "" for none
	Level  Level
	Code   Code
	What   string // what is found
	Change string // what to do, "" for nothing
}

func (l *linter) add(f Finding) { l.findings = append(l.findings, f) }

// sorted puts findings in the order of the configuration, then of the objects; those of one place stay as they were found.
func sorted(findings []Finding) []Finding {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		if (a.Path == "") != (b.Path == "") {
			return cmp.Compare(len(b.Path), len(a.Path)) // the configuration first
		}
		return cmp.Or(comparePaths(a.Path, b.Path), strings.Compare(a.Object, b.Object))
	})
	return findings
}

// comparePaths orders rules[2] before rules[10].
func comparePaths(a, b string) int {
	x, y := strings.FieldsFunc(a, separates), strings.FieldsFunc(b, separates)
	return slices.CompareFunc(x, y, func(a, b string) int {
		m, notM := strconv.Atoi(a)
		n, notN := strconv.Atoi(b)
		if notM == nil && notN == nil {
			return cmp.Compare(m, n)
		}
		return strings.Compare(a, b)
	})
}

func separates(r rune) bool { return r == '.' || r == '[' || r == ']' }

// list joins names, the first few of many.
func list(names []string) string {
	const most = 4
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most-1], ", ") + " and " + strconv.Itoa(len(names)-most+1) + " more"
}

// are joins names with what is said of them, in their number: "a is cached", "a, b are cached".
func are(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	return list(names) + " are"
}
