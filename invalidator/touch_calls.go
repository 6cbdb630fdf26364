package invalidator

import (
	"slices"
	"strings"

	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/parser"
)

// calls judges what a command calls: whatever a name may mean must be known not to write.
func (c *closure) calls(command *parser.Command, p *path) {
	for _, oid := range c.snapshot.VolatileCasts {
		c.functionOf(oid, p.runtime(), "volatile function of a cast")
	}
	for _, f := range command.Functions {
		c.call(f, p)
	}
	for _, o := range command.Operators {
		c.operator(o, p)
	}
	for _, cast := range command.Casts {
		if plain, known := p.temporary.Names[cast.Type]; known && cast.Schema == "" {
			if !plain {
				c.unknown("temporary type " + cast.Type)
			}
			if c.types(p, "", cast.Type) == nil {
				continue
			}
		}
		c.conversion(cast.Schema, cast.Type, p)
	}
	for _, attribute := range command.Attributes { // t.f may mean f(t), see catalog.Snapshot.HiddenCalls
		if _, hidden := slices.BinarySearch(c.snapshot.HiddenCalls, attribute); hidden {
			for _, candidate := range c.snapshot.Functions(p.schemas, "", attribute) {
				if candidate.Accepts(1, false) {
					c.calling(candidate, p.runtime())
				}
			}
		}
	}
}

func (c *closure) call(f parser.Function, p *path) {
	found := false
	for _, candidate := range c.snapshot.Functions(p.schemas, f.Schema, f.Name) {
		if candidate.Accepts(f.Args, f.Variadic) {
			found = true
			c.calling(candidate, p.runtime())
		}
	}
	if f.Args == 1 && c.types(p, f.Schema, f.Name) != nil { // a cast in function notation
		found = true
		c.conversion(f.Schema, f.Name, p)
	}
	if !found {
		c.unknown("unknown function " + f.Name)
	}
}

// calling judges a function that is called under the path p.
func (c *closure) calling(f *catalog.Function, p *path) {
	switch {
	case !f.Builtin:
		if !f.Harmless {
			c.userFunction(f, p)
		} else {
			c.setting(f.Name)
		}
	case runsSQL(f.Name):
		c.unknown("function " + f.Name)
	case f.Volatility == 'v':
		c.setting(f.Name)
		if !writesNoTable(f.Name) {
			c.unknown("function " + f.Name)
		}
	}
}

// setting notes the functions that change settings.
func (c *closure) setting(function string) {
	switch function {
	case "set_config":
		c.touched.Settings = true
		if c.function { // and how the rest of the body is understood
			c.unknown("set_config in a function")
		}
	case "set_limit": // of pg_trgm. Nobody follows what it sets: Temp has the session's state read anew
		c.touched.Settings, c.touched.Temp = true, true
	case "pg_reload_conf":
		c.touched.AllSettings, c.touched.Reload = true, true
	}
}

func (c *closure) operator(o parser.Operator, p *path) {
	candidates := c.snapshot.Operators(p.schemas, o.Schema, o.Name)
	for _, candidate := range candidates {
		if !candidate.Builtin && candidate.Volatility == 'v' {
			c.unknown("volatile operator " + o.Name)
		}
	}
	if len(candidates) == 0 {
		c.unknown("unknown operator " + o.Name)
	}
}

func (c *closure) conversion(schema, typ string, p *path) {
	found := c.types(p, schema, typ)
	if found == nil && (schema != "" || c.snapshot.Type(nil, "pg_catalog", typ) == nil) {
		c.unknown("unknown type " + typ)
	}
	for _, t := range found {
		if t.Volatile {
			c.unknown("volatile function in domain " + typ)
		}
	}
}

// runsSQL tells of functions of pg_catalog that run a query given as text, or read relations given by name,
// whatever their label says.
func runsSQL(name string) bool {
	return strings.Contains(name, "_to_xml") || name == "ts_stat"
}

// writesNoTable tells of VOLATILE functions of pg_catalog that change no row, no definition and no right: they
// draw random numbers or values from sequences, look at the server's state, take advisory locks, signal, or work on
// large objects, files, WAL and statistics, none of which is ever cached.
func writesNoTable(name string) bool {
	if volatileHarmless[name] {
		return true
	}
	return slices.ContainsFunc(volatileHarmlessPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

var volatileHarmlessPrefixes = []string{ //nolint:gochecknoglobals // constant
	"pg_advisory_", "pg_try_advisory_", "pg_sleep", "pg_stat_", "pg_ls_", "pg_current_", "pg_last_", "pg_control_",
	"pg_wal_", "pg_get_", "pg_replication_origin_", "pg_replication_slot", "pg_logical_slot_", "lo_", "txid_", "pg_read_",
}

var volatileHarmless = map[string]bool{ //nolint:gochecknoglobals // constant
	"random": true, "random_normal": true, "setseed": true, "array_sample": true, "array_shuffle": true,
	"gen_random_uuid": true, "uuidv4": true, "uuidv7": true,
	"nextval": true, "currval": true, "lastval": true, "setval": true, "pg_sequence_last_value": true,
	"clock_timestamp": true, "timeofday": true, "current_query": true,
	"set_config": true, "pg_reload_conf": true, "pg_notify": true, "pg_notification_queue_usage": true,
	"pg_cancel_backend": true, "pg_terminate_backend": true, "pg_log_backend_memory_contexts": true, "pg_rotate_logfile": true,
	"pg_promote": true, "pg_switch_wal": true, "pg_backup_start": true, "pg_backup_stop": true, "pg_start_backup": true,
	"pg_stop_backup": true, "pg_create_restore_point": true, "pg_is_in_recovery": true, "pg_is_in_backup": true,
	"pg_backup_start_time": true, "pg_is_wal_replay_paused": true, "pg_log_standby_snapshot": true, "pg_export_snapshot": true,
	"pg_create_logical_replication_slot": true, "pg_create_physical_replication_slot": true, "pg_drop_replication_slot": true,
	"pg_copy_logical_replication_slot": true, "pg_copy_physical_replication_slot": true, "pg_logical_emit_message": true,
	"pg_sync_replication_slots": true, "pg_show_replication_origin_status": true,
	"pg_blocking_pids": true, "pg_safe_snapshot_blocking_pids": true, "pg_isolation_test_session_is_blocked": true,
	"pg_lock_status": true, "pg_prepared_xact": true, "pg_xact_status": true, "pg_xact_commit_timestamp": true,
	"pg_xact_commit_timestamp_origin": true, "pg_jit_available": true,
	"pg_database_size": true, "pg_tablespace_size": true, "pg_relation_size": true, "pg_table_size": true,
	"pg_indexes_size": true, "pg_total_relation_size": true, "pg_partition_tree": true, "pg_partition_ancestors": true,
	"pg_collation_actual_version": true, "pg_database_collation_actual_version": true,
	"pg_hba_file_rules": true, "pg_ident_file_mappings": true, "pg_show_all_file_settings": true,
	"brin_summarize_new_values": true, "brin_summarize_range": true, "brin_desummarize_range": true,
	"gin_clean_pending_list": true, "loread": true, "lowrite": true, "currtid": true, "currtid2": true,
	"timezone":                   true, // AT TIME ZONE of a timetz, before version 14
	"pg_available_wal_summaries": true,
}
