package drivers

import (
	"fmt"
	"strings"
	"testing"
)

// psqlScript reads twice between its writes, so that the second read can come from the cache.
const psqlScript = `
CREATE TABLE account (id int PRIMARY KEY, owner text, balance numeric(10,2));
\copy account FROM STDIN WITH (FORMAT csv)
1,ann,10.00
2,bob,20.50
\.
SELECT * FROM account ORDER BY id;
SELECT * FROM account ORDER BY id;
UPDATE account SET balance = balance + 1 WHERE id = 1;
SELECT * FROM account ORDER BY id;
SELECT balance FROM account WHERE id = 1 \bind \g
SELECT balance FROM account WHERE id = 1 \gset
\echo balance :balance
BEGIN;
DELETE FROM account;
SELECT count(*) FROM account;
ROLLBACK;
SELECT count(*) FROM account;
\set FETCH_COUNT 1
SELECT id FROM account ORDER BY id;
\unset FETCH_COUNT
DELETE FROM account WHERE id = 2;
SELECT * FROM account ORDER BY id;
\copy (SELECT owner FROM account) TO STDOUT
\d account
DROP TABLE account;
SELECT * FROM account;
`

func TestPsql(t *testing.T) {
	outputs := map[string]string{}
	forEachTarget(t, func(t *testing.T, dsn string) {
		// psql 16 is the first with \bind.
		script := psqlScript
		if psqlMajor(t) < 16 {
			script = strings.Replace(script, ` \bind \g`, ";", 1)
		}
		output := command(t, script, "psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--file=-", dsn)
		const want = "1|ann|10.00\n2|bob|20.50\n1|ann|10.00\n2|bob|20.50\n1|ann|11.00\n2|bob|20.50\n11.00\nbalance 11.00\n0\n2\n1\n2\n1|ann|11.00\nann\n"
		if !strings.HasPrefix(output, want) {
			t.Errorf("psql printed\n%s\nexpected\n%s...", output, want)
		}
		outputs[t.Name()] = output
	})
	if direct, proxied := outputs["TestPsql/direct"], outputs["TestPsql/pgrecall"]; direct != proxied {
		t.Errorf("straight at PostgreSQL:\n%s\nthrough pgrecall:\n%s", direct, proxied)
	}
}

func psqlMajor(t *testing.T) int {
	t.Helper()
	var major int
	version := command(t, "", "psql", "--version")
	if _, err := fmt.Sscanf(version, "psql (PostgreSQL) %d", &major); err != nil {
		t.Fatalf("%q: %v", version, err)
	}
	return major
}

// pgbenchScript fails in the middle when a read after a write returns an older value: the
// division by zero ends the run.
const pgbenchScript = `\set aid random(1, 100)
\set n random(1, 1000000)
SELECT balance FROM own WHERE client = :client_id;
SELECT filler FROM pgbench_accounts WHERE aid = :aid;
UPDATE own SET balance = :n WHERE client = :client_id;
SELECT 1 / (balance = :n)::int AS fresh FROM own WHERE client = :client_id;
SELECT balance FROM own WHERE client = :client_id \gset
\if :balance != :n
SELECT 1 / 0;
\endif
`

func TestPgbench(t *testing.T) {
	forEachTarget(t, func(t *testing.T, dsn string) {
		command(t, "", "pgbench", "--initialize", "--quiet", dsn)
		command(t, "", "psql", "--quiet", "--command", "CREATE TABLE own AS SELECT g AS client, 0 AS balance FROM generate_series(0, 9) AS g", dsn)
		for _, mode := range []string{"simple", "extended", "prepared"} {
			for _, arguments := range [][]string{{"--builtin=tpcb-like"}, {"--builtin=select-only"}, {"--file=-"}} {
				arguments = append(arguments, "--no-vacuum", "--client=4", "--jobs=2", "--transactions=100", "--protocol="+mode, dsn)
				if arguments[0] == "--file=-" {
					arguments[0] = "--file=" + writeFile(t, pgbenchScript)
				}
				output := command(t, "", "pgbench", arguments...)
				if !strings.Contains(output, "400/400") {
					t.Errorf("%v: %s", arguments, output)
				}
			}
		}
		// pgbench's own invariant: all balances are the sum of all that was moved.
		const sums = `SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history),
			(SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT sum(bbalance) FROM pgbench_branches), (SELECT count(*) FROM pgbench_history)`
		if got := command(t, "", "psql", "--no-align", "--tuples-only", "--command", sums, dsn); got != "t|t|1200\n" {
			t.Errorf("sums: %s", got)
		}
	})
}
