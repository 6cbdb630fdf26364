package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// maxName is the length of the longest name of a role or database in bytes (NAMEDATALEN less the final zero). Some servers cut longer ones off, so
// that one who is not named could have the beginning of a name that is.
const maxName = 63

// consoleSettings are those of the section console.
func consoleSettings() []setting {
	return []setting{
		reloadable(text("console-database", "console.database", "NAME", "the database that is the console in SQL, for those in console.roles", checkName,
			func(c *Config) *string { return &c.ConsoleDatabase })),
		{flag: "console-roles", path: "console.roles", value: "ROLE", list: true, reload: true,
			usage: "roles that may use the console; may be given several times; without any there is no console",
			get:   func(c *Config) []string { return c.ConsoleRoles },
			set: func(c *Config, v []string) error {
				for _, role := range v {
					if err := checkName(role); err != nil {
						return err
					}
				}
				c.ConsoleRoles = v
				return nil
			}},
	}
}

func checkName(s string) error {
	switch {
	case s == "":
		return errors.New("an empty name")
	case len(s) > maxName:
		return fmt.Errorf("%q is longer than %d bytes, as no name in PostgreSQL is", s, maxName)
	case strings.IndexByte(s, 0) >= 0:
		return errors.New("a name with a zero byte")
	}
	return nil
}

// checkConsole refuses a console that would hide the application's own database.
func (f *file) checkConsole() {
	c := f.config
	if len(c.ConsoleRoles) == 0 {
		return
	}
	if up, err := pgconn.ParseConfig(c.Upstream); err == nil && c.Upstream != "" && up.Database == c.ConsoleDatabase {
		f.failAt("console.database", "%q is the database in upstream, too: nobody could reach it", c.ConsoleDatabase)
	}
}
