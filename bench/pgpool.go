package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// pgpoolSettings turns the in-memory query cache on and everything else, that costs CPU or would
// take the server away, off.
const pgpoolSettings = `backend_clustering_mode = 'streaming_replication'
listen_addresses = '%s'
port = %d
socket_dir = '%[3]s'
pcp_listen_addresses = '%[1]s'
pcp_port = %[4]d
pcp_socket_dir = '%[3]s'
pid_file_name = '%[3]s/pgpool.pid'
logdir = '%[3]s'
backend_hostname0 = '%[5]s'
backend_port0 = %[6]d
backend_weight0 = 1
backend_flag0 = 'DISALLOW_TO_FAILOVER'
enable_pool_hba = off
num_init_children = 32
max_pool = 1
connection_cache = on
load_balance_mode = off
sr_check_period = 0
health_check_period = 0
failover_on_backend_error = off
log_min_messages = error
memory_cache_enabled = on
memqcache_method = 'shmem'
memqcache_total_size = 256MB
memqcache_expire = 0
memqcache_auto_cache_invalidation = on
memqcache_oiddir = '%[3]s/oiddir'
`

func startPgpool(ctx context.Context, s *stage, p *peer) error {
	program, err := lookProgram("pgpool")
	if err != nil {
		return err
	}
	if p.at, err = freeAddress(); err != nil {
		return err
	}
	control, err := freeAddress()
	if err != nil {
		return err
	}
	directory, err := serviceDirectory(s.directory, p.name)
	if err != nil {
		return err
	}
	if _, err := serviceDirectory(directory, "oiddir"); err != nil {
		return err
	}
	settings := filepath.Join(directory, "pgpool.conf")
	text := fmt.Appendf(nil, pgpoolSettings, p.at.host, p.at.port, directory, control.port, s.upstream.at.host, s.upstream.at.port)
	if err := os.WriteFile(settings, text, 0o644); err != nil {
		return err
	}
	accounts := filepath.Join(directory, "pcp.conf") // empty: nobody may control it
	if err := os.WriteFile(accounts, nil, 0o644); err != nil {
		return err
	}
	p.counts = func(ctx context.Context) (float64, float64, error) { return pgpoolCounts(ctx, s.upstream, p.at) }
	return p.run(ctx, s, launch{
		name: p.name, directory: directory, serviceUser: true, signal: syscall.SIGINT, // "fast"
		arguments: []string{program, "-n", "-D", "-f", settings, "-F", accounts, "-a", filepath.Join(directory, "pool_hba.conf")},
	})
}

// pgpoolCounts asks pgpool for the counters of its query cache: columns num_cache_hits and
// num_selects (those that were not in the cache) of SHOW POOL_CACHE.
func pgpoolCounts(ctx context.Context, u *upstream, at address) (answered, hits float64, err error) {
	conn, err := u.connect(ctx, at)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close(ctx)
	results, err := conn.Exec(ctx, "SHOW POOL_CACHE").ReadAll()
	if err != nil {
		return 0, 0, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return 0, 0, fmt.Errorf("SHOW POOL_CACHE: %w", errNoAnswer)
	}
	values := make(map[string]float64)
	for i, field := range results[0].FieldDescriptions {
		// Other columns hold text; those that count are numbers.
		if value, err := strconv.ParseFloat(string(results[0].Rows[0][i]), 64); err == nil {
			values[field.Name] = value
		}
	}
	return values["num_cache_hits"] + values["num_selects"], values["num_cache_hits"], nil
}
