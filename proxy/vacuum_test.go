package proxy_test

import (
	"fmt"
	"testing"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// TestVacuumIsNotHeldBack: pgrecall's look at the catalog reads as of one moment, and VACUUM can't call rows visible to all that came later.
func TestVacuumIsNotHeldBack(t *testing.T) {
	r := startOn(t, pgtest.Shared(t).NewDatabase(t), nil,
		`DO $$BEGIN FOR i IN 1 .. 400 LOOP EXECUTE format('CREATE TABLE many_%s (id int); CREATE VIEW view_%s AS SELECT id FROM many_%s', i, i, i); END LOOP; END$$`)
	c := r.connect()
	held := 0
	for i := range 30 {
		mustExec(t, c, fmt.Sprintf("CREATE TABLE t%d (id int)", i))
		mustExec(t, c, fmt.Sprintf("INSERT INTO t%d SELECT generate_series(1, 500)", i))
		mustExec(t, c, fmt.Sprintf("VACUUM t%d", i))
		if value(t, r.direct(), fmt.Sprintf("SELECT relallvisible::text FROM pg_class WHERE relname = 't%d'", i)) == "0" {
			held++
		}
	}
	if held > 0 {
		t.Errorf("%d of 30 tables are not vacuumed", held)
	}
}
