package cachepolicy_test

import (
	"testing"

	"github.com/pgrecall/pgrecall/cachepolicy"
)

// shop is a schema as frameworks make it: enumerations, JSON, arrays, money, UUIDs, soft deletion, audit columns.
const shop = `
CREATE EXTENSION citext; CREATE EXTENSION pg_trgm; CREATE EXTENSION hstore; CREATE EXTENSION unaccent; CREATE EXTENSION pgcrypto;
CREATE TYPE order_status AS ENUM ('new', 'paid', 'sent');
CREATE TABLE auth_user (
  id serial PRIMARY KEY, password varchar(128) NOT NULL, last_login timestamptz, is_superuser boolean NOT NULL, username varchar(150) NOT NULL UNIQUE,
  email citext, is_active boolean NOT NULL, date_joined timestamptz NOT NULL, settings hstore, profile jsonb NOT NULL DEFAULT '{}', roles text[]);
CREATE TABLE auth_group (id serial PRIMARY KEY, name varchar(150) NOT NULL);
CREATE TABLE auth_user_groups (id bigserial PRIMARY KEY, user_id int REFERENCES auth_user, group_id int REFERENCES auth_group);
CREATE TABLE django_session (session_key varchar(40) PRIMARY KEY, session_data text NOT NULL, expire_date timestamptz NOT NULL);
CREATE TABLE products (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, slug text, price numeric(10,2) NOT NULL, tags text[] NOT NULL DEFAULT '{}',
  attributes jsonb, created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp, deleted_at timestamp, search tsvector,
  category_id bigint, stock int, rating double precision, published_on date);
CREATE TABLE categories (id bigserial PRIMARY KEY, name text, parent_id bigint REFERENCES categories, position int);
CREATE TABLE orders (
  id bigserial PRIMARY KEY, user_id int REFERENCES auth_user, status order_status NOT NULL DEFAULT 'new', total numeric(12,2), currency char(3),
  placed_at timestamptz NOT NULL, shipped_at timestamptz, note text, meta json);
CREATE TABLE order_items (order_id bigint REFERENCES orders, product_id uuid REFERENCES products, quantity int, unit_price numeric(10,2), PRIMARY KEY (order_id, product_id));
CREATE TABLE reviews (id bigserial PRIMARY KEY, product_id uuid, user_id int, stars smallint, body text, created_at timestamptz);
CREATE TABLE "User" (id text PRIMARY KEY, "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, email text, role order_status);
CREATE TABLE "Post" (id serial PRIMARY KEY, title text, "authorId" text REFERENCES "User", published boolean, views int);
CREATE TABLE schema_migrations (version varchar PRIMARY KEY);
CREATE VIEW active_products AS SELECT p.*, c.name AS category FROM products p LEFT JOIN categories c ON c.id = p.category_id WHERE p.deleted_at IS NULL;
CREATE MATERIALIZED VIEW monthly AS SELECT date_trunc('month', placed_at) AS month, sum(total) AS total FROM orders GROUP BY 1;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.updated_at = now(); RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON products FOR EACH ROW EXECUTE FUNCTION touch();
CREATE FUNCTION tenant() RETURNS int LANGUAGE sql STABLE AS $$SELECT current_setting('app.tenant')::int$$;
CREATE AGGREGATE multiply(numeric) (SFUNC = numeric_mul, STYPE = numeric);
`

// TestStatementsOfFrameworks: what ORMs and API servers send, as their logs show it.
func TestStatementsOfFrameworks(t *testing.T) {
	f := newFixtureOf(t, shop)
	for _, tc := range []struct {
		framework, sql string
		reason         cachepolicy.Reason
	}{
		{"Django", `SELECT "auth_user"."id", "auth_user"."password", "auth_user"."last_login" FROM "auth_user" WHERE "auth_user"."id" = 1 LIMIT 21`, ""},
		{"Django", `SELECT COUNT(*) AS "__count" FROM "auth_user"`, ""},
		{"Django", `SELECT (1) AS "a" FROM "auth_user" WHERE UPPER("auth_user"."username"::text) = UPPER('x') LIMIT 1`, ""},
		{"Django", `SELECT "auth_user"."id" FROM "auth_user" WHERE "auth_user"."username"::text LIKE UPPER('%x%') ORDER BY "auth_user"."date_joined" DESC`, ""},
		{"Django", `SELECT "auth_group"."id", "auth_group"."name" FROM "auth_group" INNER JOIN "auth_user_groups" ON ("auth_group"."id" = "auth_user_groups"."group_id") WHERE "auth_user_groups"."user_id" IN (1, 2, 3)`, ""},
		{"Django", `SELECT "django_session"."session_key", "django_session"."session_data", "django_session"."expire_date" FROM "django_session" WHERE ("django_session"."expire_date" > '2024-05-01 10:00:00.123456+00:00'::timestamptz AND "django_session"."session_key" = 'abc') LIMIT 21`, ""},
		{"Django", `SELECT DATE_TRUNC('month', "orders"."placed_at" AT TIME ZONE 'UTC') AS "month", COUNT("orders"."id") AS "c", COALESCE(SUM("orders"."total"), '0') AS "s" FROM "orders" GROUP BY 1 ORDER BY 1 ASC`, ""},
		{"Django", `SELECT ("orders"."placed_at" AT TIME ZONE 'Europe/Berlin')::date AS "day", COUNT(*) FROM "orders" GROUP BY 1`, ""},
		{"Django", `SELECT "orders"."id" FROM "orders" WHERE EXTRACT(YEAR FROM "orders"."placed_at" AT TIME ZONE 'UTC') = 2024`, ""},
		{"Django", `SELECT "orders"."id" FROM "orders" WHERE "orders"."placed_at" BETWEEN '2024-01-01 00:00:00+00:00'::timestamptz AND '2024-12-31 23:59:59.999999+00:00'::timestamptz`, ""},
		{"Django", `SELECT EXISTS(SELECT 1 AS "a" FROM "orders" U0 WHERE U0."user_id" = ("auth_user"."id") LIMIT 1) AS "has" FROM "auth_user"`, ""},
		{"Django", `SELECT "auth_user"."id" FROM "auth_user" WHERE ("auth_user"."profile" -> 'address' ->> 'city') = 'Bonn' AND "auth_user"."profile" @> '{"a": 1}'::jsonb AND "auth_user"."profile" ? 'x' AND "auth_user"."roles" && ARRAY['a']::text[] AND "auth_user"."settings" -> 'k' = 'v'`, ""},
		{"Django", `SELECT "products"."id", ts_rank(to_tsvector(COALESCE("products"."name", '')), plainto_tsquery('x')) AS "rank" FROM "products" ORDER BY "rank" DESC`, ""},
		{"Django", `SELECT "products"."id", SIMILARITY("products"."name", 'x') FROM "products" WHERE UNACCENT("products"."name") LIKE '%' || UNACCENT('é') || '%'`, ""},
		{"Django", `SELECT "products"."id" FROM "products" WHERE "products"."name" % 'shirt'`, ""},
		{"Django", `SELECT "orders"."id", ROW_NUMBER() OVER (PARTITION BY "orders"."user_id" ORDER BY "orders"."placed_at" DESC) AS "rn", LAG("orders"."total", 1) OVER (ORDER BY "orders"."id") FROM "orders"`, ""},
		{"Django", `SELECT "orders"."status", STRING_AGG("orders"."note", ', ' ORDER BY "orders"."id"), ARRAY_AGG(DISTINCT "orders"."id"), JSONB_AGG("orders"."note"), BOOL_OR("orders"."note" IS NULL) FROM "orders" GROUP BY "orders"."status"`, ""},
		{"Django", `SELECT "orders"."id" FROM "orders" WHERE "orders"."placed_at" <= (STATEMENT_TIMESTAMP())`, cachepolicy.ReasonStable},
		{"Django", `SELECT "auth_user"."id" FROM "auth_user" WHERE "auth_user"."id" = 1 LIMIT 21 FOR UPDATE`, cachepolicy.ReasonLocking},
		{"Django", `SELECT "products"."id" FROM "products" ORDER BY RANDOM() ASC LIMIT 5`, cachepolicy.ReasonVolatile},
		{"Django", `SELECT CASE WHEN ("orders"."total" > 100) THEN 'big' WHEN "orders"."total" IS NULL THEN NULL ELSE 'small' END AS "size", CAST("orders"."total" AS double precision), ROUND("orders"."total", 2), GREATEST("orders"."total", 5) FROM "orders"`, ""},
		{"Django", `SELECT "orders"."id", "orders"."shipped_at" - "orders"."placed_at" AS "took", ("orders"."placed_at" + '1 day'::interval) FROM "orders"`, ""},
		{"Django", `SELECT "orders"."id" FROM "orders" WHERE ("orders"."placed_at" + '1 day'::interval)::date = '2024-01-01'::date`, ""},
		{"Django", `SELECT MAX("orders"."placed_at")::date FROM "orders"`, ""},
		{"Django", `SELECT COALESCE("orders"."shipped_at", "orders"."placed_at")::date FROM "orders"`, ""},
		{"Django", `SELECT DATE("orders"."placed_at"), COUNT(*) FROM "orders" GROUP BY 1`, ""},
		{"Django", `SELECT DATE("orders"."note") FROM "orders"`, cachepolicy.ReasonTimeCast},
		{"Django", `SELECT DATE(MAX("orders"."placed_at")), "time"("orders"."placed_at"), "timestamp"("orders"."placed_at") FROM "orders"`, ""},

		{"Rails", `SELECT "products".* FROM "products" WHERE "products"."deleted_at" IS NULL AND "products"."id" = $1 LIMIT $2`, ""},
		{"Rails", `SELECT 1 AS one FROM "products" WHERE "products"."slug" = $1 LIMIT $2`, ""},
		{"Rails", `SELECT COUNT(DISTINCT "products"."id") FROM "products" LEFT OUTER JOIN "categories" ON "categories"."id" = "products"."category_id" WHERE (products.tags @> ARRAY['a']::varchar[])`, ""},
		{"Rails", `SELECT "schema_migrations"."version" FROM "schema_migrations" ORDER BY "schema_migrations"."version" ASC`, ""},
		{"Rails", `SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a LEFT JOIN pg_attrdef d ON a.attrelid = d.adrelid`, cachepolicy.ReasonSystemCatalog},
		{"Rails", `SELECT DATE_TRUNC('day', (orders.placed_at::timestamptz) AT TIME ZONE 'Etc/UTC')::date AS day, COUNT(*) AS count_all FROM "orders" GROUP BY 1`, ""},
		{"Rails", `SELECT "orders".* FROM "orders" WHERE "orders"."status" = 'paid' AND (orders.placed_at::date = '2024-01-01') ORDER BY "orders"."id" DESC LIMIT 10 OFFSET 20`, ""},
		{"Rails", `WITH RECURSIVE tree AS (SELECT id, parent_id, 1 AS depth FROM categories WHERE parent_id IS NULL UNION ALL SELECT c.id, c.parent_id, t.depth + 1 FROM categories c JOIN tree t ON t.id = c.parent_id) SELECT * FROM tree ORDER BY depth`, ""},
		{"Rails", `SELECT pg_try_advisory_lock(123) AS t42, 1 /* x */`, cachepolicy.ReasonVolatile},
		{"Rails", `SELECT "products".* FROM "products" WHERE (to_tsvector('english', name) @@ to_tsquery('english', 'x:*'))`, ""},
		{"Rails", `SELECT SUM("order_items"."quantity" * unit_price) FROM "order_items" WHERE "order_items"."order_id" IN (SELECT "orders"."id" FROM "orders" WHERE "orders"."placed_at" >= $1)`, ""},

		{"SQLAlchemy", `SELECT orders.id AS orders_id, anon_1.total AS anon_1_total FROM orders LEFT OUTER JOIN LATERAL (SELECT sum(order_items.quantity) AS total FROM order_items WHERE order_items.order_id = orders.id) AS anon_1 ON true WHERE orders.id = $1::INTEGER`, ""},
		{"SQLAlchemy", `SELECT count(*) AS count_1 FROM (SELECT products.id AS products_id FROM products WHERE products.id IN ($1::UUID, $2::UUID)) AS anon_1`, ""},
		{"SQLAlchemy", `SELECT anon_1.day, count(*) FROM (SELECT orders.placed_at AS day FROM orders) AS anon_1 GROUP BY CAST(anon_1.day AS DATE), anon_1.day`, ""},
		{"SQLAlchemy", `WITH recent AS (SELECT id, placed_at FROM orders WHERE placed_at > $1::TIMESTAMP WITH TIME ZONE) SELECT recent.placed_at::date, count(*) FROM recent GROUP BY 1`, ""},
		{"SQLAlchemy", `SELECT CAST(orders.placed_at AS DATE) AS day FROM orders WHERE orders.user_id IN (SELECT auth_user.id FROM auth_user WHERE auth_user.is_active)`, ""},
		{"SQLAlchemy", `SELECT CAST(x.day AS DATE) AS day FROM (SELECT orders.note AS day FROM orders) AS x`, cachepolicy.ReasonTimeCast},
		{"SQLAlchemy", `SELECT d.day::date, count(o.id) FROM generate_series('2024-01-01'::date, '2024-01-31'::date, '1 day'::interval) AS d(day) LEFT JOIN orders o ON o.placed_at::date = d.day::date GROUP BY 1`, ""},
		{"SQLAlchemy", `SELECT d::date, count(o.id) FROM generate_series('2024-01-01'::timestamptz, '2024-01-31', '1 day') d LEFT JOIN orders o ON o.placed_at::date = d::date GROUP BY 1`, ""},
		{"SQLAlchemy", `SELECT pg_catalog.version()`, cachepolicy.ReasonStable},
		{"SQLAlchemy", `SELECT status, grouping(status, currency), sum(total) FROM orders GROUP BY GROUPING SETS ((status), (currency), ROLLUP (status, currency), CUBE (status), ())`, ""},
		{"SQLAlchemy", `SELECT v.id, v.name FROM (VALUES (1, 'a'), (2, 'b')) AS v(id, name) JOIN categories c ON c.id = v.id`, ""},

		{"Hibernate", `select u1_0.id,u1_0.email,u1_0.is_active from auth_user u1_0 where u1_0.email=? `, cachepolicy.ReasonNotParsed},
		{"Hibernate", `select u1_0.id,u1_0.email,g1_0.name from auth_user u1_0 left join auth_user_groups ug on ug.user_id=u1_0.id left join auth_group g1_0 on g1_0.id=ug.group_id where u1_0.username=$1 order by u1_0.id offset $2 rows fetch first $3 rows only`, ""},
		{"Hibernate", `select count(o1_0.id), cast(o1_0.placed_at as date) from orders o1_0 where o1_0.status in ($1,$2) group by cast(o1_0.placed_at as date)`, ""},
		{"Hibernate", `select o1_0.id from orders o1_0 where extract(epoch from o1_0.shipped_at-o1_0.placed_at) > 3600 and lower(o1_0.note) like $1 escape ''`, ""},
		{"Hibernate", `select nextval('orders_id_seq')`, cachepolicy.ReasonVolatile},
		{"Hibernate", `select o1_0.id from orders o1_0 where o1_0.placed_at > localtimestamp`, cachepolicy.ReasonCurrentTime},

		{"Prisma", `SELECT "public"."User"."id", "public"."User"."createdAt", "public"."User"."role"::text FROM "public"."User" WHERE ("public"."User"."id" = $1 AND 1=1) LIMIT $2 OFFSET $3`, ""},
		{"Prisma", `SELECT "t0"."id", "User_posts"."__prisma_data__" AS "posts" FROM "public"."User" AS "t0" LEFT JOIN LATERAL (SELECT COALESCE(JSONB_AGG("__prisma_data__"), '[]') AS "__prisma_data__" FROM (SELECT "t3"."__prisma_data__" FROM (SELECT JSONB_BUILD_OBJECT('id', "t2"."id", 'title', "t2"."title") AS "__prisma_data__" FROM (SELECT "t1".* FROM "public"."Post" AS "t1" WHERE "t0"."id" = "t1"."authorId" /* root select */) AS "t2") AS "t3") AS "t4") AS "User_posts" ON TRUE`, ""},
		{"Prisma", `SELECT COUNT(*), SUM("public"."Post"."views") FROM (SELECT "public"."Post"."id", "public"."Post"."views" FROM "public"."Post" WHERE 1=1 OFFSET $1) AS "sub", "public"."Post"`, ""},

		{"PostgREST", `WITH pgrst_source AS (SELECT "public"."products".* FROM "public"."products" WHERE "public"."products"."stock" > $1 LIMIT $2 OFFSET $3) SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status FROM (SELECT * FROM pgrst_source) _postgrest_t`, ""},
		{"PostgREST", `SELECT "public"."orders".*, COALESCE("orders_items_1"."orders_items_1", '[]') AS "items" FROM "public"."orders" LEFT JOIN LATERAL (SELECT json_agg("orders_items_1") AS "orders_items_1" FROM (SELECT "order_items_1".* FROM "public"."order_items" AS "order_items_1" WHERE "order_items_1"."order_id" = "public"."orders"."id") AS "orders_items_1") AS "orders_items_1" ON TRUE`, ""},
		{"PostgREST", `SELECT row_to_json(r), to_json(r.tags), json_build_object('a', r.price) FROM (SELECT * FROM active_products) r`, ""},
		{"PostgREST", `select set_config('search_path', $1, true), set_config('role', $2, true), set_config('request.jwt.claims', $3, true)`, cachepolicy.ReasonVolatile},
		{"PostgREST", `SELECT id FROM orders WHERE user_id = (current_setting('request.jwt.claims', true)::json ->> 'sub')::int`, ""},
		{"Supabase", `SELECT id FROM orders WHERE user_id = tenant()`, ""},

		{"Ecto", `SELECT p0."id", p0."name" FROM "products" AS p0 WHERE (p0."id" = ANY($1)) ORDER BY p0."id"`, ""},
		{"Ecto", `SELECT o0."id", sum(o1."quantity"::float) FROM "orders" AS o0 INNER JOIN "order_items" AS o1 ON o1."order_id" = o0."id" GROUP BY o0."id" HAVING (sum(o1."quantity") > 5)`, ""},
		{"hand", `SELECT count(*) FILTER (WHERE status = 'paid') AS paid, percentile_cont(0.5) WITHIN GROUP (ORDER BY total), avg(total)::numeric(10,2), to_char(min(placed_at), 'YYYY-MM-DD') FROM orders`, ""},
		{"hand", `SELECT DISTINCT ON (user_id) user_id, placed_at FROM orders ORDER BY user_id, placed_at DESC`, ""},
		{"hand", `SELECT p.name, t.tag FROM products p, unnest(p.tags) WITH ORDINALITY AS t(tag, n) WHERE t.n < 3`, ""},
		{"hand", `SELECT e.key, e.value FROM products, jsonb_each_text(attributes) e WHERE jsonb_path_exists(attributes, '$.a ? (@ > 1)') AND attributes @? '$.b' AND attributes #>> '{a,b}' <> ''`, ""},
		{"hand", `SELECT x.* FROM orders, json_to_recordset(meta) AS x(sku text, n int)`, ""},
		{"hand", `SELECT x.* FROM orders, json_to_recordset(meta) AS x(sku text, d date)`, cachepolicy.ReasonTimeCast},
		{"hand", `SELECT multiply(unit_price) FROM order_items`, ""},
		{"hand", `SELECT age(shipped_at, placed_at), justify_hours(shipped_at - placed_at), date_bin('15 minutes', placed_at, '2001-01-01'), make_date(2020, 1, stock) FROM orders, products`, ""},
		{"hand", `SELECT month::date, total FROM monthly`, ""},
		{"hand", `SELECT created_at::date FROM active_products`, ""},
		{"hand", `SELECT * FROM orders WHERE placed_at > now() - interval '7 days'`, cachepolicy.ReasonStable},
		{"hand", `SELECT encode(digest(name, 'sha256'), 'hex'), md5(name), regexp_replace(name, '\s+', ' ', 'g'), split_part(slug, '-', 1), concat_ws(' ', name, slug), format('%s', price), lpad(slug, 5) FROM products`, ""},
		{"hand", `SELECT crypt('x', password) FROM auth_user`, ""},
		{"hand", `SELECT gen_random_uuid(), id FROM products`, cachepolicy.ReasonVolatile},
	} {
		d := f.decide(tc.sql)
		if d.Reason != tc.reason || (d.Verdict == cachepolicy.Cache) != (tc.reason == "") {
			t.Errorf("%s: %s\n\tverdict %v, reason %q (%s), want reason %q", tc.framework, tc.sql, d.Verdict, d.Reason, d.Detail, tc.reason)
		}
	}
}
