package cachepolicy

import (
	"regexp"
	"strings"
)

// SettingsOutsideKeys is a regular expression, of Go and of PostgreSQL alike, for the whole name of the settings without a dot whose
// values no key holds: they can't change an answer unless a statement reads them by name.
const SettingsOutsideKeys = `application_name|log_.*|.*_timeout|track_.*|.*_delay|autovacuum.*|bgwriter.*|checkpoint.*|wal_.*|max_wal_.*|min_wal_.*|` +
	`archive_.*|deadlock_.*|debug_print_.*|tcp_.*|transaction_.*|in_hot_standby|update_process_title`

// Settings that pg_settings doesn't show, so that no key holds them either (GUC_NO_SHOW_ALL in PostgreSQL's guc_tables.c).
const hiddenSettings = `role|session_authorization|is_superuser|seed|ssl_renegotiation_limit|default_with_oids`

var (
	outsideKeys       = regexp.MustCompile(`^(` + SettingsOutsideKeys + `)$`)                        //nolint:gochecknoglobals // constant
	settingOutsideKey = regexp.MustCompile(`^(` + SettingsOutsideKeys + `|` + hiddenSettings + `)$`) //nolint:gochecknoglobals // constant
	builtinSetting    = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)                                      //nolint:gochecknoglobals // constant
	customSetting     = regexp.MustCompile(`^[a-z_][a-z0-9_$]*(\.[a-z_][a-z0-9_$]*)+$`)              //nolint:gochecknoglobals // constant
)

// SettingInKey tells whether every key holds the value of the setting with this name, as written: true for
// names without a dot, but for SettingsOutsideKeys and those that pg_settings doesn't show. Custom settings (app.tenant) are
// in the key of statements whose Decision.Settings name them.
func SettingInKey(name string) bool {
	name = strings.ToLower(name)
	return builtinSetting.MatchString(name) && !settingOutsideKey.MatchString(name)
}

// SettingOutsideKeys tells whether the name, in lower case, is one of SettingsOutsideKeys: changing it changes no key.
func SettingOutsideKeys(name string) bool { return outsideKeys.MatchString(name) }
