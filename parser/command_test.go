package parser

import "testing"

var commandTests = []struct {
	text string
	kind Kind
}{
	{"SELECT 1", KindSelect},
	{"VALUES (1), (2)", KindSelect},
	{"TABLE t", KindSelect},
	{"WITH a AS (SELECT 1) SELECT * FROM a", KindSelect},
	{"(SELECT 1 UNION SELECT 2) ORDER BY 1", KindSelect},
	{"SELECT * FROM t FOR UPDATE OF t SKIP LOCKED", KindSelect},

	{"INSERT INTO t VALUES (1)", KindWrite},
	{"INSERT INTO t DEFAULT VALUES", KindWrite},
	{"UPDATE t SET a = 1", KindWrite},
	{"DELETE FROM t", KindWrite},
	{"MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.a)", KindWrite},
	{"TRUNCATE t", KindWrite},
	{"COPY t FROM STDIN", KindWrite},
	{"COPY t FROM PROGRAM 'x'", KindWrite},
	{"REFRESH MATERIALIZED VIEW CONCURRENTLY v", KindWrite},
	{"WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d", KindWrite},
	{"SELECT 1 FROM (WITH d AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM d) x", KindWrite},
	{"EXPLAIN ANALYZE DELETE FROM t", KindWrite},
	{"EXPLAIN (ANALYZE) DELETE FROM t", KindWrite},
	{"EXPLAIN (COSTS OFF, ANALYZE true) DELETE FROM t", KindWrite},
	{"EXPLAIN (ANALYZE on) DELETE FROM t", KindWrite},
	{"EXPLAIN (ANALYZE 1) DELETE FROM t", KindWrite},
	{"EXPLAIN (ANALYZE 'on') DELETE FROM t", KindWrite},
	{"EXPLAIN (ANALYZE off, ANALYZE) DELETE FROM t", KindWrite},
	{"EXPLAIN ANALYZE VERBOSE WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d", KindWrite},
	{"EXPLAIN ANALYZE REFRESH MATERIALIZED VIEW v", KindWrite},
	{"COPY (DELETE FROM t RETURNING *) TO STDOUT", KindWrite},
	{"EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1", KindDefinition},
	{"EXPLAIN ANALYZE EXECUTE p", KindUnknown},

	{"EXPLAIN DELETE FROM t", KindNeutral},
	{"EXPLAIN (ANALYZE off) DELETE FROM t", KindNeutral},
	{"EXPLAIN (ANALYZE 0) DELETE FROM t", KindNeutral},
	{"EXPLAIN (ANALYZE FALSE) DELETE FROM t", KindNeutral},
	{"EXPLAIN EXECUTE p", KindNeutral},
	{"EXPLAIN ANALYZE SELECT f()", KindNeutral},
	{"COPY t TO STDOUT", KindNeutral},
	{"COPY (SELECT f()) TO STDOUT", KindNeutral},
	{"DECLARE c CURSOR FOR SELECT 1", KindNeutral},
	{"FETCH ALL FROM c", KindNeutral},
	{"MOVE c", KindNeutral},
	{"CLOSE c", KindNeutral},
	{"SHOW work_mem", KindNeutral},
	{"LISTEN x", KindNeutral},
	{"UNLISTEN *", KindNeutral},
	{"NOTIFY x, 'y'", KindNeutral},
	{"LOCK TABLE t IN EXCLUSIVE MODE", KindNeutral},
	{"CHECKPOINT", KindNeutral},
	{"ANALYZE t", KindNeutral},
	{"VACUUM t", KindNeutral},
	{"VACUUM (FULL off, ANALYZE) t", KindNeutral},

	{"BEGIN", KindBegin},
	{"START TRANSACTION READ ONLY", KindBegin},
	{"COMMIT", KindCommit},
	{"END", KindCommit},
	{"ROLLBACK", KindRollback},
	{"ABORT", KindRollback},
	{"SAVEPOINT s", KindSavepoint},
	{"RELEASE s", KindSavepoint},
	{"ROLLBACK TO s", KindRollbackTo},
	{"PREPARE TRANSACTION 'x'", KindPrepareTransaction},
	{"COMMIT PREPARED 'x'", KindFinishPrepared},
	{"ROLLBACK PREPARED 'x'", KindFinishPrepared},

	{"SET work_mem = '1MB'", KindSet},
	{"SET LOCAL TimeZone TO 'UTC'", KindSet},
	{"SET TIME ZONE INTERVAL '1' HOUR TO MINUTE", KindSet},
	{"SET ROLE x", KindSet},
	{"SET SESSION AUTHORIZATION DEFAULT", KindSet},
	{"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", KindSet},
	{"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", KindSet},
	{"SET CONSTRAINTS ALL DEFERRED", KindSet},
	{"RESET ALL", KindSet},
	{"RESET work_mem", KindSet},
	{"DISCARD ALL", KindDiscard},
	{"DISCARD TEMP", KindDiscard},
	{"PREPARE p AS DELETE FROM t WHERE a = $1", KindPrepare},
	{"EXECUTE p (1)", KindExecute},
	{"DEALLOCATE p", KindDeallocate},
	{"DEALLOCATE ALL", KindDeallocate},

	{"DO $$ BEGIN DELETE FROM t; END $$", KindUnknown},
	{"CALL p(1)", KindUnknown},
	{"LOAD 'x'", KindUnknown},

	{"CREATE TEMP TABLE x (a int)", KindTempDefinition},
	{"CREATE TABLE pg_temp.x (a int)", KindTempDefinition},
	{"CREATE TEMP TABLE x AS SELECT * FROM t", KindTempDefinition},
	{"SELECT * INTO TEMP x FROM t", KindTempDefinition},
	{"CREATE TEMP VIEW v AS SELECT 1", KindTempDefinition},
	{"CREATE TEMP SEQUENCE s", KindTempDefinition},
	{"CREATE TEMP TABLE x () INHERITS (t)", KindDefinition},
	{"CREATE TEMP TABLE x AS WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d", KindDefinition},
	{"CREATE TEMP TABLE x AS EXECUTE p", KindDefinition},
	{"SELECT * INTO x FROM t", KindDefinition},
	{"SELECT 1 INTO x UNION SELECT 2", KindDefinition},
	{"CREATE TABLE x AS SELECT 1", KindDefinition},
	{"CREATE MATERIALIZED VIEW v AS SELECT 1", KindDefinition},

	{"CREATE TABLE t (a int)", KindDefinition},
	{"CREATE TABLE t PARTITION OF p DEFAULT", KindDefinition},
	{"CREATE VIEW v AS SELECT 1", KindDefinition},
	{"CREATE SEQUENCE s", KindDefinition},
	{"CREATE INDEX ON t (a)", KindDefinition},
	{"CREATE SCHEMA s", KindDefinition},
	{"CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END", KindDefinition},
	{"CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION f()", KindDefinition},
	{"CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()", KindDefinition},
	{"CREATE RULE r AS ON INSERT TO t DO ALSO DELETE FROM u", KindDefinition},
	{"CREATE POLICY p ON t", KindDefinition},
	{"ALTER POLICY p ON t USING (true)", KindDefinition},
	{"CREATE EXTENSION x", KindDefinition},
	{"CREATE TYPE e AS ENUM ('a')", KindDefinition},
	{"CREATE TYPE c AS (a int)", KindDefinition},
	{"CREATE TYPE r AS RANGE (subtype = int)", KindDefinition},
	{"CREATE DOMAIN d AS int", KindDefinition},
	{"CREATE CAST (int AS text) WITHOUT FUNCTION", KindDefinition},
	{"CREATE OPERATOR + (FUNCTION = f)", KindDefinition},
	{"CREATE AGGREGATE a(int) (SFUNC = f, STYPE = int)", KindDefinition},
	{"CREATE STATISTICS ON a, b FROM t", KindDefinition},
	{"CREATE PUBLICATION p", KindDefinition},
	{"CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p", KindDefinition},
	{"IMPORT FOREIGN SCHEMA s FROM SERVER x INTO y", KindDefinition},
	{"CREATE FOREIGN TABLE t (a int) SERVER s", KindDefinition},
	{"CREATE USER MAPPING FOR u SERVER s", KindDefinition},
	{"ALTER TABLE t ADD b int", KindDefinition},
	{"ALTER TABLE t RENAME TO u", KindDefinition},
	{"ALTER TABLE t OWNER TO u", KindDefinition},
	{"ALTER TABLE t SET SCHEMA s", KindDefinition},
	{"ALTER TABLE t INHERIT p", KindDefinition},
	{"ALTER TYPE e ADD VALUE 'b'", KindDefinition},
	{"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO u", KindDefinition},
	{"ALTER FUNCTION f() IMMUTABLE", KindDefinition},
	{"DROP TABLE t", KindDefinition},
	{"GRANT SELECT ON t TO u", KindDefinition},
	{"REVOKE ALL ON t FROM u", KindDefinition},
	{"COMMENT ON TABLE t IS 'x'", KindDefinition},
	{"SECURITY LABEL ON TABLE t IS 'x'", KindDefinition},
	{"VACUUM FULL t", KindDefinition},
	{"VACUUM (FULL, ANALYZE) t", KindDefinition},
	{"CLUSTER t", KindDefinition},
	{"REINDEX TABLE t", KindDefinition},
	{"CREATE DATABASE d", KindDefinition},
	{"ALTER SYSTEM SET work_mem = '1MB'", KindDefinition},
}

func TestKinds(t *testing.T) {
	for _, test := range commandTests {
		s := Analyze(test.text)
		c := s.Single()
		if c == nil {
			t.Errorf("%q: %v, %d commands", test.text, s.Err, len(s.Commands))
			continue
		}
		if c.Kind != test.kind {
			t.Errorf("%q has kind %d, want %d", test.text, c.Kind, test.kind)
		}
		if c.Unsupported {
			t.Errorf("%q: %s is not handled", test.text, c.UnsupportedWhat)
		}
		if c.Tag == "" {
			t.Errorf("%q has no tag", test.text)
		}
	}
}

func TestClusterDefinitions(t *testing.T) {
	for text, want := range map[string]bool{
		"CREATE ROLE r":                         true,
		"ALTER ROLE r SET search_path = x":      true,
		"ALTER USER r PASSWORD 'x'":             true,
		"DROP ROLE r":                           true,
		"GRANT a TO b":                          true,
		"REASSIGN OWNED BY a TO b":              true,
		"DROP OWNED BY a":                       true,
		"CREATE DATABASE d":                     true,
		"ALTER DATABASE d SET timezone = 'UTC'": true,
		"ALTER DATABASE d RENAME TO e":          true,
		"ALTER DATABASE d OWNER TO e":           true,
		"DROP DATABASE d":                       true,
		"CREATE TABLESPACE s LOCATION '/x'":     true,
		"DROP TABLESPACE s":                     true,
		"ALTER TABLESPACE s RESET (x)":          true,
		"ALTER SYSTEM RESET ALL":                true,
		"GRANT CONNECT ON DATABASE d TO u":      true,
		"GRANT SET ON PARAMETER work_mem TO u":  true,
		"ALTER ROLE r RENAME TO s":              true,
		"GRANT SELECT ON t TO u":                false,
		"ALTER TABLE t RENAME TO u":             false,
		"CREATE TABLE t ()":                     false,
	} {
		c := Analyze(text).Single()
		if c == nil || c.Kind != KindDefinition || c.Cluster != want {
			t.Errorf("%q: %+v, want a definition, cluster %v", text, c, want)
		}
	}
}

func TestSettings(t *testing.T) {
	for _, test := range []struct {
		text, name, value string
		local, def        bool
	}{
		{"SET pgrecall.cache = off", "pgrecall.cache", "off", false, false},
		{"SET LOCAL DateStyle TO 'ISO', MDY", "datestyle", "ISO, mdy", true, false},
		{"SET TIME ZONE 'UTC'", "timezone", "UTC", false, false},
		{"SET TIME ZONE LOCAL", "timezone", "", false, true},
		{"SET TIME ZONE -3", "timezone", "-3", false, false},
		{"SET NAMES 'utf8'", "client_encoding", "utf8", false, false},
		{"SET SCHEMA 's'", "search_path", "s", false, false},
		{"SET ROLE NONE", "role", "none", false, false},
		{"SET SESSION AUTHORIZATION u", "session_authorization", "u", false, false},
		{"SET extra_float_digits = 1.5", "extra_float_digits", "1.5", false, false},
		{"SET a TO DEFAULT", "a", "", false, true},
		{"RESET A", "a", "", false, true},
		{"RESET ALL", "", "", false, true},
		{"RESET ROLE", "role", "", false, true},
		{"SET TRANSACTION READ ONLY", "", "", false, false},
	} {
		c := Analyze(test.text).Single()
		if c == nil || c.Setting != test.name || c.SettingValue != test.value || c.SettingLocal != test.local || c.SettingDefault != test.def {
			t.Errorf("%q: %+v", test.text, c)
		}
	}
}

func TestTransactionModes(t *testing.T) {
	for text, want := range map[string]string{
		"BEGIN":                              "",
		"BEGIN ISOLATION LEVEL SERIALIZABLE": "serializable",
		"START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY": "repeatable read",
		"SET TRANSACTION ISOLATION LEVEL READ COMMITTED":               "read committed",
	} {
		if c := Analyze(text).Single(); c == nil || c.Isolation != want {
			t.Errorf("%q: %+v", text, c)
		}
	}
	for text, want := range map[string]bool{"COMMIT AND CHAIN": true, "ROLLBACK AND CHAIN": true, "COMMIT AND NO CHAIN": false, "END": false} {
		if c := Analyze(text).Single(); c == nil || c.Chain != want {
			t.Errorf("%q: %+v", text, c)
		}
	}
}
