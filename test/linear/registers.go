package linear

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Registers are rows: two of each table, since a write invalidates what was read of its whole table.
const (
	tables       = 12
	rowsPerTable = 2
	keys         = tables * rowsPerTable
)

// database is the name of the one that holds the registers.
const database = "registers"

// initial is what all registers hold at the beginning: the values of the scripts that follow have as many digits.
const initial = 1000

// schema makes the registers.
func schema() string {
	var b strings.Builder
	for i := range tables {
		fmt.Fprintf(&b, "CREATE TABLE register_%d (id int PRIMARY KEY, v bigint NOT NULL);\n", i)
		fmt.Fprintf(&b, "INSERT INTO register_%d SELECT g, %d FROM generate_series(0, %d) g;\n", i, initial, rowsPerTable-1)
	}
	return b.String()
}

// Texts of statements about one register.
func tableOf(key int) string { return fmt.Sprintf("register_%d", key/rowsPerTable) }

func readText(key int) string {
	return fmt.Sprintf("SELECT v FROM %s WHERE id = %d", tableOf(key), key%rowsPerTable)
}

// uncachedText reads a register out of PostgreSQL at any time.
func uncachedText(key int) string { return "/* pgrecall: off */ " + readText(key) }

func updateText(key int, value int64) string {
	return fmt.Sprintf("UPDATE %s SET v = %d WHERE id = %d", tableOf(key), value, key%rowsPerTable)
}

// Texts with parameters, and their arguments.
func readQuery(key int) (string, int) {
	return "SELECT v FROM " + tableOf(key) + " WHERE id = $1", key % rowsPerTable
}

func updateQuery(key int) string { return "UPDATE " + tableOf(key) + " SET v = $2 WHERE id = $1" }

// contents reads all registers straight from the server.
func contents(ctx context.Context, conn *pgx.Conn) (values [keys]int64, err error) {
	for key := range keys {
		if err := conn.QueryRow(ctx, readText(key)).Scan(&values[key]); err != nil {
			return values, err
		}
	}
	return values, nil
}
