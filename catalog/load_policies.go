package catalog

import (
	"regexp"
	"slices"
	"strings"

	"github.com/pgrecall/pgrecall/parser"
)

// Policy is a row security policy of a relation that has row security enabled (manual, section 5.9).
type Policy struct {
	Name    string
	Command byte   // polcmd: r select, a insert, w update, d delete, * all
	Using   string // pg_get_expr with an empty search_path, "" for none
	Check   string // the same of WITH CHECK
}

// Reads tells whether a SELECT without a locking clause may be restricted by the policy.
func (p *Policy) Reads() bool { return p.Command == '*' || p.Command == 'r' }

// policies reads pg_policy. Whom a policy is for is there for the digest alone.
func (l *loader) policies() error {
	var oid uint32
	var policy Policy
	var command, roles string
	var using, check *string
	err := l.each(`
SELECT p.polrelid, p.polname::text, p.polcmd::text, p.polroles::text || p.polpermissive,
       CASE WHEN p.polqual IS NULL THEN '' ELSE pg_get_expr(p.polqual, p.polrelid) END,
       CASE WHEN p.polwithcheck IS NULL THEN '' ELSE pg_get_expr(p.polwithcheck, p.polrelid) END
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
 WHERE c.relrowsecurity AND c.relpersistence <> 't'
 ORDER BY p.polrelid, p.oid`,
		[]any{&oid, &policy.Name, &command, &roles, &using, &check},
		func() {
			r := l.snapshot.byOID[oid]
			if r == nil {
				return
			}
			policy := Policy{Name: policy.Name, Command: command[0], Using: unreadable, Check: unreadable}
			if using != nil {
				policy.Using = *using
			}
			if check != nil {
				policy.Check = *check
			}
			r.Policies = append(r.Policies, policy)
		})
	if err != nil {
		return err
	}
	var read uint32
	return l.each(`
SELECT DISTINCT p.polrelid, d.refobjid
  FROM pg_depend d JOIN pg_policy p ON p.oid = d.objid JOIN pg_class c ON c.oid = p.polrelid
 WHERE d.classid = 'pg_policy'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> p.polrelid
   AND c.relrowsecurity AND p.polcmd IN ('r', '*')
 ORDER BY 1, 2`,
		[]any{&oid, &read},
		func() {
			if r := l.snapshot.byOID[oid]; r != nil {
				r.PolicyReads = append(r.PolicyReads, read)
			}
		})
}

// unreadable stands for an expression that the server would not show: nothing can parse it.
const unreadable = "?"

// PolicyQuery returns a query that reads the relation and computes an expression of one of its policies: it says for
// a parser what the expression means.
func (r *Relation) PolicyQuery(expression string) string {
	return "SELECT " + expression + " FROM " + quoted(r.Schema) + "." + quoted(r.Name)
}

// PolicyStatement returns what analyze says of PolicyQuery, once per snapshot.
func (s *Snapshot) PolicyStatement(r *Relation, expression string, analyze func(text string) *parser.Statement) *parser.Statement {
	type key struct {
		relation   uint32
		expression string
	}
	statement, _ := s.Memo(key{r.OID, expression}, func() any { return analyze(r.PolicyQuery(expression)) }).(*parser.Statement)
	return statement
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// settings collects the names of custom settings that sessions start with, or that views and policies read.
func (l *loader) settings() error {
	names := make(map[string]bool)
	var name string
	err := l.each(`
SELECT DISTINCT lower(split_part(c, '=', 1))
  FROM pg_db_role_setting s, unnest(s.setconfig) c
 WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) AND split_part(c, '=', 1) LIKE '%.%'
 ORDER BY 1`,
		[]any{&name}, func() { names[name] = true })
	if err != nil {
		return err
	}
	read := func(definition string) {
		for _, found := range settingRead.FindAllStringSubmatch(definition, -1) {
			names[strings.ToLower(found[1])] = true
		}
	}
	for _, r := range l.snapshot.byOID {
		read(r.ViewDefinition)
		for i := range r.Policies {
			read(r.Policies[i].Using)
		}
	}
	for name := range names {
		l.snapshot.CustomSettings = append(l.snapshot.CustomSettings, name)
	}
	slices.Sort(l.snapshot.CustomSettings)
	return nil
}

// settingRead finds a custom setting in the text of an expression that the server deparsed.
var settingRead = regexp.MustCompile(`current_setting\('([A-Za-z_][A-Za-z0-9_$]*(?:\.[A-Za-z_][A-Za-z0-9_$]*)+)'::text`) //nolint:gochecknoglobals // constant
