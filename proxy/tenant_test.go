package proxy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/pgrecall/pgrecall/internal/pgtest"
	"github.com/pgrecall/pgrecall/proxy"
)

// namesInL2 returns the names of all results there.
func namesInL2(t *testing.T, server *pgtest.Redis) []string {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: server.Address()})
	defer func() { _ = client.Close() }()
	names, err := client.Keys(t.Context(), "pgrecall:*:v1:*").Result()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, "~") }) // leases
}

// tenantsInL2 returns the tenants in the names of what is in L2, each once, sorted.
func tenantsInL2(t *testing.T, server *pgtest.Redis) []string {
	t.Helper()
	var list []string
	for _, name := range namesInL2(t, server) {
		list = append(list, strings.Split(name, ":")[3])
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func withTenant(option string) func(*proxy.Options) {
	return func(o *proxy.Options) { o.Tenant = option }
}

// TestTenantBySetting: the value that the server has at the moment of the read, however it was set, is in the name.
func TestTenantBySetting(t *testing.T) {
	bothProtocols(t, func(t *testing.T, parameters ...string) {
		fleet, server := startFleetWith(t, 2, true, withTenant("setting:App.Tenant"), "CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)")
		c, other := fleet[0].connect(parameters...), fleet[1].connect(parameters...)
		n := 0
		read := func() { // a statement of its own each time
			t.Helper()
			n++
			value(t, c, fmt.Sprintf("SELECT (n + %d)::text FROM t", n))
		}
		want := []string{}
		expect := func(step, tenant string) {
			t.Helper()
			want = append(want, tenant)
			slices.Sort(want)
			want = slices.Compact(want)
			eventually(t, step+": a result of tenant "+tenant, func() bool {
				read()
				return slices.Contains(tenantsInL2(t, server), tenant)
			})
			if got := tenantsInL2(t, server); !slices.Equal(got, want) {
				t.Fatalf("%s: tenants %q, want %q", step, got, want)
			}
		}
		expect("never set", "-")
		mustExec(t, c, "SET app.tenant = 'one'")
		expect("SET", "one")
		mustExec(t, c, "SELECT set_config('app.tenant', $1, false)", "two")
		expect("set_config", "two")
		mustExec(t, c, "BEGIN")
		mustExec(t, c, "SET LOCAL app.tenant = 'three'")
		expect("SET LOCAL", "three")
		mustExec(t, c, "COMMIT")
		mustExec(t, c, "SET app.tenant = 'a:b*'")
		expect("odd characters", "a%3Ab%2A")
		mustExec(t, c, "BEGIN")
		mustExec(t, c, "SET app.tenant = 'never'")
		mustExec(t, c, "ROLLBACK")
		expect("after ROLLBACK", "a%3Ab%2A")
		mustExec(t, c, "DO $$BEGIN PERFORM set_config('app.tenant', 'hidden', false); END$$")
		expect("set by a function", "hidden")
		mustExec(t, c, "SET app.tenant = ''")
		expect("empty", "-")

		// The other proxy finds its own tenant's results, and no others.
		mustExec(t, c, "SET app.tenant = 'one'")
		query := "SELECT (n + 1000000)::text FROM t"
		before := len(namesInL2(t, server))
		value(t, c, query)
		eventually(t, "the result is in L2", func() bool { return len(namesInL2(t, server)) > before })
		for _, tenant := range []string{"two", "one"} {
			mustExec(t, other, "SET app.tenant = '"+tenant+"'")
			hits := fleet[1].Status().L2.Hits
			if got := value(t, other, query+strings.Repeat(" ", len(tenant)%2)); got != "1000001" {
				t.Errorf("tenant %s: %s", tenant, got)
			}
			if tenant == "two" && fleet[1].Status().L2.Hits != hits {
				t.Errorf("tenant %s was answered with another one's result", tenant)
			}
		}
	})
}

// TestUnknownTenantStaysOutOfL2: where the value cannot be told, nothing goes there under a wrong name.
func TestUnknownTenantStaysOutOfL2(t *testing.T) {
	fleet, server := startFleetWith(t, 1, true, withTenant("setting:app.tenant"), "CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)")
	c := fleet[0].connect()
	mustExec(t, c, "SET app.tenant = 'known'")
	eventually(t, "a result is in L2", func() bool { value(t, c, "SELECT n::text FROM t"); return len(namesInL2(t, server)) > 0 })
	n, want := 0, []string{"known"}
	for step, sql := range map[string][]string{
		"after going back": {"BEGIN", "SET LOCAL app.tenant = 'other'", "SAVEPOINT a", "SET LOCAL app.tenant = 'third'", "ROLLBACK TO a"},
		"too long":         {"SET app.tenant = '" + strings.Repeat("x", 129) + "'"},
		"another encoding": {"SET client_encoding = 'LATIN1'", "SET app.tenant = U&'\\00E9'"},
	} {
		t.Run(step, func(t *testing.T) {
			c := fleet[0].connect("default_query_exec_mode=exec")
			for _, s := range sql {
				mustExec(t, c, s)
			}
			for range 3 {
				n++
				value(t, c, fmt.Sprintf("SELECT (n + %d)::text FROM t", n))
			}
			mark := fleet[0].connect() // its result comes behind theirs
			want = append(want, fmt.Sprint("mark", n))
			mustExec(t, mark, "SET app.tenant = '"+want[len(want)-1]+"'")
			eventually(t, "a later result is in L2", func() bool {
				n++
				value(t, mark, fmt.Sprintf("SELECT (n + %d)::text FROM t", n))
				return slices.Contains(tenantsInL2(t, server), want[len(want)-1])
			})
			slices.Sort(want)
			if got := tenantsInL2(t, server); !slices.Equal(got, want) {
				t.Errorf("tenants %q", got)
			}
		})
	}
}

// TestTenantByUser: the role whose rights decide, not the one that logged in.
func TestTenantByUser(t *testing.T) {
	fleet, server := startFleetWith(t, 1, true, withTenant("user"), tenants...)
	c := fleet[0].connect("default_query_exec_mode=exec")
	eventually(t, "a result of the owner", func() bool {
		value(t, c, "SELECT id FROM plain")
		return len(namesInL2(t, server)) > 0
	})
	owner := tenantsInL2(t, server)[0]
	if user := value(t, c, "SELECT current_user"); user != owner {
		t.Errorf("tenant %q of role %q", owner, user)
	}
	mustExec(t, c, "SET ROLE tenant_reader")
	eventually(t, "a result of the other role", func() bool {
		value(t, c, "SELECT id FROM plain")
		return slices.Contains(tenantsInL2(t, server), "tenant_reader")
	})
}

// TestNoTenant: the level is empty.
func TestNoTenant(t *testing.T) {
	fleet, server := startFleetWith(t, 1, true, withTenant("none"), "CREATE TABLE t (n int)")
	c := fleet[0].connect()
	mustExec(t, c, "SET app.tenant = 'x'")
	eventually(t, "a result is in L2", func() bool { value(t, c, "SELECT n::text FROM t"); return len(namesInL2(t, server)) > 0 })
	if got := tenantsInL2(t, server); !slices.Equal(got, []string{""}) {
		t.Errorf("tenants %q", got)
	}
}
