package invalidator

// functionsSchema has functions and triggers of every kind.
const functionsSchema = `
CREATE SCHEMA audit; CREATE SCHEMA one; CREATE SCHEMA two;
CREATE TABLE log (what text); CREATE TABLE audit.log (what text, row json); CREATE TABLE total (n int); INSERT INTO total VALUES (0);
CREATE TABLE one.log (what text); CREATE TABLE two.log (what text); CREATE TABLE one.only_one (what text); CREATE TABLE two.only_two (what text);
CREATE TABLE t (id int PRIMARY KEY, n int DEFAULT 0, updated_at timestamptz); INSERT INTO t VALUES (1, 1), (2, 2);
CREATE TABLE other (id int); INSERT INTO other VALUES (1);

-- What ordinary schemas have.
CREATE FUNCTION set_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END$$;
CREATE TABLE stamped (id int, updated_at timestamptz); INSERT INTO stamped VALUES (1);
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON stamped FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE FUNCTION audit.log_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = audit, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN INSERT INTO log VALUES (TG_TABLE_NAME, row_to_json(OLD)); RETURN OLD;
  ELSE INSERT INTO log VALUES (TG_TABLE_NAME, row_to_json(NEW)); RETURN NEW; END IF;
END$$;
CREATE TABLE audited (id int); INSERT INTO audited VALUES (1);
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON audited FOR EACH ROW EXECUTE FUNCTION audit.log_change();
CREATE FUNCTION count_rows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE delta int; current total%ROWTYPE;
BEGIN
  CASE TG_OP WHEN 'INSERT' THEN delta := 1; WHEN 'DELETE' THEN delta := -1; ELSE RETURN NULL; END CASE;
  SELECT * INTO current FROM total FOR UPDATE;
  UPDATE total SET n = n + delta; RETURN NULL;
END$$;
CREATE TABLE counted (id int); INSERT INTO counted VALUES (1);
CREATE TRIGGER count AFTER INSERT OR DELETE ON counted FOR EACH ROW EXECUTE FUNCTION count_rows();
CREATE FUNCTION announce() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_notify('c', NEW.id::text); NOTIFY d; RETURN NULL; END$$;
CREATE TABLE announced (id int); CREATE TRIGGER t AFTER INSERT ON announced FOR EACH ROW EXECUTE FUNCTION announce();
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no: %', OLD.id; END$$;
CREATE TABLE kept (id int); INSERT INTO kept VALUES (1); CREATE TRIGGER t BEFORE DELETE ON kept FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE FUNCTION next_id() RETURNS bigint LANGUAGE plpgsql AS $$BEGIN RETURN nextval('ids') * 10 + (random() * 9)::int; END$$; CREATE SEQUENCE ids;
CREATE TABLE numbered (id bigint DEFAULT next_id(), x int);
CREATE FUNCTION audit_statement() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO log SELECT 'new ' || id FROM fresh; RETURN NULL; END$$;
CREATE TABLE transited (id int);
CREATE TRIGGER t AFTER INSERT ON transited REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION audit_statement();

-- Triggers that set off others.
CREATE FUNCTION pass_on() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO counted VALUES (NEW.id); DELETE FROM audited; RETURN NEW; END$$;
CREATE TABLE chained (id int); CREATE TRIGGER t AFTER INSERT ON chained FOR EACH ROW EXECUTE FUNCTION pass_on();
CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF NEW.id > 0 THEN INSERT INTO recursive VALUES (NEW.id - 1); END IF; INSERT INTO log VALUES ('r'); RETURN NEW; END$$;
CREATE TABLE recursive (id int); CREATE TRIGGER t AFTER INSERT ON recursive FOR EACH ROW EXECUTE FUNCTION again();
CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO log VALUES ('late'); RETURN NULL; END$$;
CREATE TABLE deferred (id int);
CREATE CONSTRAINT TRIGGER t AFTER INSERT ON deferred DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late();
CREATE FUNCTION dynamic() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN EXECUTE format('INSERT INTO %I VALUES (1)', TG_ARGV[0]); RETURN NULL; END$$;
CREATE TABLE dynamic (id int); CREATE TRIGGER t AFTER INSERT ON dynamic FOR EACH ROW EXECUTE FUNCTION dynamic('log');
CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1), (2);
CREATE TABLE child (id int REFERENCES parent ON DELETE CASCADE); INSERT INTO child VALUES (1);
CREATE TRIGGER t BEFORE DELETE ON child FOR EACH ROW EXECUTE FUNCTION audit.log_change();
CREATE VIEW through AS SELECT id FROM t;
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN UPDATE total SET n = NEW.id; RETURN NEW; END$$;
CREATE TRIGGER t INSTEAD OF INSERT ON through FOR EACH ROW EXECUTE FUNCTION instead();
CREATE FUNCTION noisy(int) RETURNS bool LANGUAGE plpgsql AS $$BEGIN INSERT INTO log VALUES ('when'); RETURN true; END$$;
CREATE TABLE conditional (id int);
CREATE TRIGGER t BEFORE INSERT ON conditional FOR EACH ROW WHEN (noisy(NEW.id)) EXECUTE FUNCTION set_id();
CREATE TABLE setting_condition (id int);
CREATE TRIGGER t BEFORE INSERT ON setting_condition FOR EACH ROW WHEN (set_config('a.b', 'c', false) > '') EXECUTE FUNCTION set_id();

-- Functions.
CREATE FUNCTION caught() RETURNS int LANGUAGE plpgsql AS $$
BEGIN BEGIN INSERT INTO log VALUES ('a'); PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN UPDATE total SET n = n + 1; END; RETURN 1; END$$;
CREATE FUNCTION looped() RETURNS SETOF int LANGUAGE plpgsql AS $$
DECLARE r record; c CURSOR (x int) FOR SELECT id FROM t WHERE id > x;
BEGIN
  FOR r IN SELECT id FROM t LOOP UPDATE total SET n = n + r.id; RETURN NEXT r.id; END LOOP;
  FOR r IN c(0) LOOP INSERT INTO log VALUES (r.id); END LOOP;
  FOR i IN REVERSE 3..1 LOOP RETURN NEXT i; END LOOP;
  FOREACH r.id IN ARRAY ARRAY[1, 2] LOOP CONTINUE; END LOOP;
  WHILE false LOOP NULL; END LOOP;
  RETURN QUERY DELETE FROM other RETURNING id;
END$$;
CREATE FUNCTION inner_write(int) RETURNS int LANGUAGE sql AS $$INSERT INTO log VALUES ($1); SELECT $1$$;
CREATE FUNCTION outer_write(x int) RETURNS int LANGUAGE sql AS $$SELECT inner_write(x) + 1$$;
CREATE FUNCTION fibonacci(n int) RETURNS int LANGUAGE plpgsql AS $$BEGIN INSERT INTO log VALUES ('f'); IF n < 2 THEN RETURN n; END IF; RETURN fibonacci(n - 1) + fibonacci(n - 2); END$$;
CREATE FUNCTION only_reads() RETURNS bigint LANGUAGE plpgsql AS $$BEGIN RETURN count(*) FROM t; END$$;
CREATE FUNCTION locks() RETURNS int LANGUAGE plpgsql AS $$BEGIN PERFORM id FROM t WHERE id = 1 FOR UPDATE; RETURN 1; END$$;
CREATE FUNCTION steady_wrapper(x int) RETURNS int LANGUAGE sql STABLE AS $$SELECT inner_write(x)$$;
CREATE FUNCTION dynamic_steady() RETURNS int LANGUAGE plpgsql STABLE AS $$DECLARE n int; BEGIN EXECUTE 'SELECT 1' INTO n; RETURN n; END$$;
CREATE FUNCTION dynamic_call() RETURNS int LANGUAGE plpgsql AS $$BEGIN EXECUTE 'INSERT INTO log VALUES (1)'; RETURN 1; END$$;
CREATE FUNCTION calls_dynamic() RETURNS int LANGUAGE plpgsql AS $$BEGIN RETURN dynamic_call(); END$$;
CREATE FUNCTION configures() RETURNS text LANGUAGE sql AS $$SELECT set_config('search_path', 'two', true)$$;
CREATE FUNCTION sets_path() RETURNS int LANGUAGE plpgsql AS $$BEGIN SET LOCAL search_path = two; INSERT INTO log VALUES (1); RETURN 1; END$$;
CREATE FUNCTION sets_timeout() RETURNS int LANGUAGE plpgsql AS $$BEGIN SET LOCAL statement_timeout = 0; SET CONSTRAINTS ALL DEFERRED; INSERT INTO log VALUES (1); RETURN 1; END$$;
CREATE FUNCTION makes_temp() RETURNS int LANGUAGE plpgsql AS $$BEGIN CREATE TEMP TABLE tmp (id int); RETURN 1; END$$;
CREATE FUNCTION defines() RETURNS int LANGUAGE plpgsql AS $$BEGIN CREATE TABLE made (id int); RETURN 1; END$$;
CREATE FUNCTION unqualified() RETURNS int LANGUAGE plpgsql AS $$BEGIN INSERT INTO log VALUES ('u'); RETURN 1; END$$;
CREATE FUNCTION pinned() RETURNS int LANGUAGE plpgsql SET search_path = two AS $$BEGIN RETURN unqualified(); END$$;
CREATE FUNCTION pinned_twice() RETURNS int LANGUAGE plpgsql SET search_path = one, two AS $$BEGIN RETURN unqualified(); END$$;
CREATE FUNCTION definer() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN RETURN unqualified(); END$$;
CREATE FUNCTION one.shadowed() RETURNS int LANGUAGE sql AS $$INSERT INTO one.only_one VALUES (1); SELECT 1$$;
CREATE FUNCTION two.shadowed() RETURNS int LANGUAGE sql AS $$INSERT INTO two.only_two VALUES (1); SELECT 1$$;
CREATE FUNCTION calls_shadowed() RETURNS int LANGUAGE plpgsql AS $$BEGIN RETURN shadowed(); END$$;
CREATE FUNCTION default_writes(x int DEFAULT inner_write(1)) RETURNS int LANGUAGE sql AS 'SELECT x';
CREATE FUNCTION named(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql AS 'DELETE FROM other; SELECT a + b';
CREATE DOMAIN noted AS int CHECK (noisy(value));
CREATE FUNCTION takes_noted(noted) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION declares_noted() RETURNS int LANGUAGE plpgsql AS $$DECLARE x noted; BEGIN x := 1; RETURN 1; END$$;
CREATE TABLE with_noted (x noted);
CREATE FUNCTION declares_row() RETURNS int LANGUAGE plpgsql AS $$DECLARE r with_noted%ROWTYPE; y with_noted.x%TYPE; BEGIN r.x := 1; RETURN 1; END$$;
CREATE FUNCTION strings_off() RETURNS int LANGUAGE plpgsql SET standard_conforming_strings = off AS $$BEGIN INSERT INTO log VALUES ('x'); RETURN 1; END$$;
CREATE PROCEDURE proc(a int, INOUT b int DEFAULT 5) LANGUAGE plpgsql AS $$BEGIN UPDATE t SET n = n + a; b := a; END$$;
CREATE PROCEDURE nested_proc() LANGUAGE plpgsql AS $$DECLARE x int; BEGIN CALL proc(1, x); INSERT INTO log VALUES ('p'); END$$;
CREATE PROCEDURE committing() LANGUAGE plpgsql AS $$BEGIN INSERT INTO log VALUES ('c'); COMMIT; UPDATE total SET n = n + 1; ROLLBACK; DELETE FROM other; END$$;
CREATE PROCEDURE sql_proc() LANGUAGE sql AS $$TRUNCATE other; DELETE FROM t WHERE id = 1$$;
CREATE FUNCTION standard(x int) RETURNS int LANGUAGE sql BEGIN ATOMIC INSERT INTO one.log VALUES ('s'); SELECT inner_write(x); END;
CREATE FUNCTION standard_return(x int) RETURNS int LANGUAGE sql RETURN (SELECT unqualified() + x);
CREATE FUNCTION opens() RETURNS refcursor LANGUAGE plpgsql AS $$DECLARE c refcursor := 'c'; BEGIN OPEN c FOR SELECT unqualified(); RETURN c; END$$;
CREATE FUNCTION writes_op(int, int) RETURNS bool LANGUAGE sql AS $$INSERT INTO log VALUES ('op'); SELECT true$$;
CREATE OPERATOR !~! (LEFTARG = int, RIGHTARG = int, FUNCTION = writes_op);
CREATE FUNCTION uses_op() RETURNS bool LANGUAGE plpgsql AS $$BEGIN RETURN 1 !~! 2; END$$;
CREATE VIEW loud AS SELECT unqualified() AS x;
`
