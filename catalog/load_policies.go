package catalog

import (
	"maps"
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

// policyPlace is where a policy is kept.
type policyPlace struct {
	relation *Relation
	index    int
}

// policies reads pg_policy. Whom a policy is for is there for the digest alone.
func (l *loader) policies() error {
	l.policyOf = make(map[uint32]policyPlace)
	var id, oid uint32
	var row Policy
	var command, roles string
	var using, check bool
	err := l.each(`
SELECT p.oid, p.polrelid, p.polname::text, p.polcmd::text, p.polroles::text || p.polpermissive, p.polqual IS NOT NULL, p.polwithcheck IS NOT NULL
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
 WHERE c.relrowsecurity AND c.relpersistence <> 't'
 ORDER BY p.polrelid, p.oid`,
		[]any{&id, &oid, &row.Name, &command, &roles, &using, &check},
		func() {
			r := l.snapshot.byOID[oid]
			if r == nil {
				return
			}
			policy := Policy{Name: row.Name, Command: command[0]}
			if using {
				policy.Using = unreadable
			}
			if check {
				policy.Check = unreadable
			}
			l.policyOf[id] = policyPlace{r, len(r.Policies)}
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

// policyExpressions fills in the expressions of policies.
func (l *loader) policyExpressions() error {
	wanted := slices.Sorted(maps.Keys(l.policyOf))
	shown := make(map[uint32]bool, len(wanted))
	err := l.deparse("SELECT oid, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid) FROM pg_policy WHERE oid = ANY (%s)", wanted,
		func(oid uint32, texts [][]byte) {
			shown[oid] = true
			place := l.policyOf[oid]
			policy := &place.relation.Policies[place.index]
			for i, expression := range []*string{&policy.Using, &policy.Check} {
				if *expression != "" && texts[i] != nil {
					*expression = string(texts[i])
				}
			}
		})
	l.missing += len(wanted) - len(shown)
	for _, oid := range wanted {
		place := l.policyOf[oid]
		policy := &place.relation.Policies[place.index]
		digest(l.digest, []byte(policy.Using))
		digest(l.digest, []byte(policy.Check))
	}
	return err
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
	for _, f := range l.snapshot.byFunction {
		if f.Volatility == 'v' || !strings.Contains(strings.ToLower(f.Source+f.DefaultValues), "current_setting") {
			continue
		}
		for _, body := range []*parser.Body{l.snapshot.Body(f), l.snapshot.DefaultsOf(f)} {
			for i := range body.Commands {
				for _, name := range body.Commands[i].SettingsRead {
					if strings.Contains(name, ".") {
						names[name] = true
					}
				}
			}
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
