package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// pgbouncerSettings is session mode: everything that works with PostgreSQL works with it, as with
// pgrecall. Its account list is what trust needs in order to know the role.
const pgbouncerSettings = `[databases]
* = host=%s port=%d
[pgbouncer]
listen_addr = %s
listen_port = %d
unix_socket_dir =
pool_mode = session
auth_type = trust
auth_file = %s
max_client_conn = 5000
default_pool_size = 2000
ignore_startup_parameters = extra_float_digits
log_connections = 0
log_disconnections = 0
`

func startPgbouncer(ctx context.Context, s *stage, p *peer) error {
	program, err := lookProgram("pgbouncer")
	if err != nil {
		return err
	}
	if p.at, err = freeAddress(); err != nil {
		return err
	}
	directory, err := serviceDirectory(s.directory, p.name)
	if err != nil {
		return err
	}
	accounts, settings := filepath.Join(directory, "users.txt"), filepath.Join(directory, "pgbouncer.ini")
	if err := os.WriteFile(accounts, fmt.Appendf(nil, "%q \"\"\n", s.upstream.user), 0o644); err != nil {
		return err
	}
	text := fmt.Appendf(nil, pgbouncerSettings, s.upstream.at.host, s.upstream.at.port, p.at.host, p.at.port, accounts)
	if err := os.WriteFile(settings, text, 0o644); err != nil {
		return err
	}
	return p.run(ctx, s, launch{
		name: p.name, directory: directory, arguments: []string{program, settings}, serviceUser: true,
	})
}
