package invalidator

// touchSchema has one of everything that a write can set off.
const touchSchema = `
CREATE EXTENSION "uuid-ossp"; CREATE EXTENSION pgcrypto; CREATE EXTENSION pg_trgm;
CREATE SCHEMA sales;
CREATE TABLE plain (id int PRIMARY KEY, name text); INSERT INTO plain VALUES (1, 'a'), (2, 'b');
CREATE TABLE keyed (id uuid DEFAULT uuid_generate_v4(), n serial, at timestamptz DEFAULT now());
-- Foreign keys.
CREATE TABLE parent (id int PRIMARY KEY, alt int UNIQUE); INSERT INTO parent VALUES (1, 11), (2, 12), (3, 13);
CREATE TABLE on_cascade (id int PRIMARY KEY REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE); INSERT INTO on_cascade VALUES (1);
CREATE TABLE grandchild (id int REFERENCES on_cascade ON DELETE SET NULL ON UPDATE CASCADE); INSERT INTO grandchild VALUES (1);
CREATE TABLE on_default (id int DEFAULT 3 REFERENCES parent ON DELETE SET DEFAULT); INSERT INTO on_default VALUES (1);
CREATE TABLE on_nothing (id int REFERENCES parent); INSERT INTO on_nothing VALUES (2);
CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree ON DELETE CASCADE); INSERT INTO tree VALUES (1, NULL), (2, 1);
-- Triggers, rules.
CREATE TABLE log (what text);
CREATE FUNCTION logs() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO log VALUES (tg_op); RETURN NEW; END$$;
CREATE TABLE on_update (id int); INSERT INTO on_update VALUES (1);
CREATE TRIGGER t AFTER UPDATE ON on_update FOR EACH ROW EXECUTE FUNCTION logs();
CREATE TABLE on_truncate (id int); INSERT INTO on_truncate VALUES (1);
CREATE TRIGGER t AFTER TRUNCATE ON on_truncate EXECUTE FUNCTION logs();
CREATE TABLE on_statement (id int); CREATE TRIGGER t AFTER INSERT ON on_statement EXECUTE FUNCTION logs();
CREATE TABLE suppressed (id int); INSERT INTO suppressed VALUES (1);
CREATE TRIGGER t BEFORE UPDATE ON suppressed FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE TABLE ruled (id int); CREATE RULE r AS ON INSERT TO ruled DO ALSO INSERT INTO log VALUES ('rule');
CREATE TABLE boss (id int PRIMARY KEY); INSERT INTO boss VALUES (1);
CREATE TABLE minion (id int REFERENCES boss ON DELETE CASCADE); INSERT INTO minion VALUES (1);
CREATE TRIGGER t AFTER DELETE ON minion FOR EACH ROW EXECUTE FUNCTION logs();
-- Functions.
CREATE FUNCTION writes(int) RETURNS int LANGUAGE plpgsql AS $$BEGIN INSERT INTO log VALUES ('writes'); RETURN 1; END$$;
CREATE FUNCTION reads(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
CREATE FUNCTION fixed(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION writes_row(plain) RETURNS int LANGUAGE plpgsql AS $$BEGIN INSERT INTO log VALUES ('row'); RETURN 1; END$$;
CREATE FUNCTION writes_op(int, int) RETURNS bool LANGUAGE plpgsql AS $$BEGIN INSERT INTO log VALUES ('op'); RETURN true; END$$;
CREATE FUNCTION writes_state(int, int) RETURNS int LANGUAGE plpgsql AS $$BEGIN INSERT INTO log VALUES ('agg'); RETURN 1; END$$;
CREATE AGGREGATE writes_agg (int) (SFUNC = writes_state, STYPE = int, INITCOND = '0');
CREATE AGGREGATE product (int) (SFUNC = int4mul, STYPE = int);
CREATE PROCEDURE proc() LANGUAGE sql AS $$INSERT INTO log VALUES ('proc')$$;
CREATE OPERATOR !~! (LEFTARG = int, RIGHTARG = int, FUNCTION = writes_op);
CREATE DOMAIN noisy AS int CHECK (writes(value) = 1);
CREATE TABLE defaulted (id int, x int DEFAULT writes(1));
CREATE SEQUENCE seq;
-- Views.
CREATE VIEW simple AS SELECT id, name FROM plain;
CREATE VIEW over_simple AS SELECT id, name FROM simple WHERE id > 0;
CREATE VIEW joined AS SELECT p.id FROM plain p JOIN parent q USING (id);
CREATE VIEW loud AS SELECT writes(id) AS x FROM plain;
CREATE VIEW over_loud AS SELECT x FROM loud;
CREATE VIEW instead AS SELECT id FROM parent;
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO log VALUES ('instead'); RETURN NEW; END$$;
CREATE TRIGGER t INSTEAD OF INSERT ON instead FOR EACH ROW EXECUTE FUNCTION instead();
CREATE MATERIALIZED VIEW stored AS SELECT count(*) FROM plain;
CREATE MATERIALIZED VIEW stored_loud AS SELECT x FROM loud;
-- Partitions and inheritance.
CREATE TABLE parts (id int, n int) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
INSERT INTO parts VALUES (1, 1), (11, 1);
CREATE TABLE animals (id int); CREATE TABLE cats () INHERITS (animals); INSERT INTO cats VALUES (1);
CREATE TABLE measured (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE measured_1 PARTITION OF measured FOR VALUES FROM (0) TO (10); INSERT INTO measured VALUES (1);
CREATE TABLE reading (id int REFERENCES measured ON DELETE CASCADE); INSERT INTO reading VALUES (1);
CREATE TABLE watched_parts (id int, n int) PARTITION BY RANGE (id);
CREATE TABLE watched_parts_1 PARTITION OF watched_parts FOR VALUES FROM (0) TO (10);
CREATE TABLE watched_parts_2 PARTITION OF watched_parts FOR VALUES FROM (10) TO (20);
CREATE TRIGGER t AFTER DELETE ON watched_parts FOR EACH ROW EXECUTE FUNCTION logs(); INSERT INTO watched_parts VALUES (1, 1);
`
