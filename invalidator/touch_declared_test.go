package invalidator

import (
	"slices"
	"strings"
	"testing"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/parser"
)

// declaredSchema has functions of which nobody can tell what they do.
const declaredSchema = `
CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int); CREATE SCHEMA audit; CREATE TABLE audit.log (id int);
CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int REFERENCES parent ON DELETE CASCADE);
CREATE FUNCTION anything() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN EXECUTE TG_ARGV[0]; RETURN NULL; END$$;
CREATE FUNCTION audit.anything() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN EXECUTE TG_ARGV[0]; RETURN NULL; END$$;
CREATE TRIGGER one AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION anything('x');
CREATE TRIGGER two AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION audit.anything('x');
CREATE TRIGGER one AFTER INSERT ON other FOR EACH ROW EXECUTE FUNCTION anything('x');
CREATE FUNCTION run(text) RETURNS int LANGUAGE plpgsql AS $$BEGIN EXECUTE $1; RETURN 1; END$$;
CREATE FUNCTION calls_run() RETURNS int LANGUAGE plpgsql AS $$BEGIN RETURN run('x'); END$$;
CREATE FUNCTION plain() RETURNS int LANGUAGE plpgsql AS $$BEGIN DELETE FROM other; RETURN 1; END$$;
CREATE PROCEDURE refresh(text) LANGUAGE plpgsql AS $$BEGIN EXECUTE $1; END$$;
`

func TestTouchesOfWhatIsDeclared(t *testing.T) {
	f := newFixture(t, declaredSchema)
	function := func(d catalog.FunctionDeclaration) *catalog.Declarations {
		return &catalog.Declarations{Functions: []catalog.FunctionDeclaration{d}}
	}
	trigger := func(d catalog.TriggerDeclaration) *catalog.Declarations {
		return &catalog.Declarations{Triggers: []catalog.TriggerDeclaration{d}}
	}
	for _, tc := range []struct {
		sql      string
		declared *catalog.Declarations
		touched  []string
	}{
		{"INSERT INTO t VALUES (1)", nil, whole},
		{"INSERT INTO t VALUES (1)", function(catalog.FunctionDeclaration{Name: "anything", Effects: catalog.EffectsNone}), []string{"t"}},
		{"INSERT INTO t VALUES (1)", function(catalog.FunctionDeclaration{Name: "public.any*", Writes: []string{"audit.*"}}), []string{"audit.log", "t"}},
		{"INSERT INTO t VALUES (1)", function(catalog.FunctionDeclaration{Name: "audit.anything", Effects: catalog.EffectsNone}), whole},
		{"INSERT INTO t VALUES (1)", function(catalog.FunctionDeclaration{Name: "anything", Writes: []string{"nowhere"}}), whole},
		{"INSERT INTO t VALUES (1)", trigger(catalog.TriggerDeclaration{Name: "one", Table: "public.t", Effects: catalog.EffectsNone}), []string{"t"}},
		{"INSERT INTO t VALUES (1)", trigger(catalog.TriggerDeclaration{Name: "one", Table: "other", Effects: catalog.EffectsNone}), whole},
		{"INSERT INTO t VALUES (1)", trigger(catalog.TriggerDeclaration{Name: "*", Writes: []string{"parent"}}), []string{"child", "parent", "t"}},
		{"UPDATE t SET id = 1", trigger(catalog.TriggerDeclaration{Name: "one", Effects: catalog.EffectsNone}), whole},
		{"SELECT run('x')", nil, whole},
		{"SELECT calls_run()", function(catalog.FunctionDeclaration{Name: "run", Reads: []string{"t"}}), nil},
		{"SELECT calls_run()", function(catalog.FunctionDeclaration{Name: "calls_run", Writes: []string{"other"}}), whole}, // a trigger of other
		{"SELECT calls_run()", function(catalog.FunctionDeclaration{Name: "calls_run", Writes: []string{"log"}}), []string{"audit.log"}},
		{"SELECT plain()", function(catalog.FunctionDeclaration{Name: "plain", Effects: catalog.EffectsNone}), nil},
		{"CALL refresh('x')", function(catalog.FunctionDeclaration{Name: "refresh", Writes: []string{"audit.log"}}), []string{"audit.log"}},
	} {
		touched := Touches(parser.Analyze(tc.sql), []string{"public"}, catalog.Temporary{}, f.snapshot, tc.declared)
		names := f.names(touched.Relations)
		if touched.Whole {
			names = whole
		}
		if !slices.Equal(names, tc.touched) {
			t.Errorf("%s with %+v\n\ttouches %v (%s), want %v", tc.sql, tc.declared, names, touched.Reason, tc.touched)
		}
	}
}

// TestReasonOfFunctions: the reason names the trigger and the function that somebody has to look at.
func TestReasonOfFunctions(t *testing.T) {
	f := newFixture(t, declaredSchema)
	for _, tc := range []struct{ sql, reason, culprit string }{
		{"INSERT INTO t VALUES (1)", "trigger one on public.t: function public.anything: the body executes SQL", "public.anything"},
		{"SELECT calls_run()", "function public.run: the body executes SQL", "public.run"},
		{"SELECT plain(), run('x')", "function public.run: the body executes SQL", "public.run"},
		{"CALL refresh('x')", "function public.refresh: the body executes SQL", "public.refresh"},
		{"DO $$BEGIN PERFORM calls_run(); END$$", "function public.run: the body executes SQL", "public.run"},
		{"DO $$BEGIN EXECUTE 'x'; END$$", "the body executes SQL", ""},
		{"DO $$BEGIN INSERT INTO other VALUES (1); END$$", "trigger one on public.other: function public.anything: the body executes SQL", "public.anything"},
		{"DELETE FROM nowhere", "unknown relation nowhere", ""},
	} {
		got := Touches(parser.Analyze(tc.sql), []string{"public"}, catalog.Temporary{}, f.snapshot, nil)
		if !strings.HasPrefix(got.Reason, tc.reason) || got.Culprit != tc.culprit {
			t.Errorf("%s: %q of %q, want %q of %q", tc.sql, got.Reason, got.Culprit, tc.reason, tc.culprit)
		}
	}
}
