package cachepolicy

import "strings"

// stableAllowed are the STABLE functions of pg_catalog whose result depends on nothing but their arguments and on settings
// that are part of every key: TimeZone, DateStyle, IntervalStyle, lc_*, bytea_output, extra_float_digits,
// search_path, default_text_search_config, xmloption, the database and the user. Each is here for a reason:
//
//   - They are stable because they print values with the types' output functions, or compute in the session's time zone.
//
//   - What reads the clock, the catalog, the server's or the transaction's state isn't here: age(x), now and its
//     family, pg_*, has_*, to_reg*, obj_description, format_type, *_is_visible, enum-independent lookups.
//
//   - What turns text into a type named at run time isn't here, since the text may be 'today': json_populate_record
//     and its family. json_to_record and its family are: their types stand in the text, and are judged as casts.
//
//   - What runs a query given as text or reads relations isn't here: query_to_xml, ts_stat and their families.
//
//   - has_*_privilege isn't here: it looks up names, temporary ones too, and not all rights are part of the catalog's digest. pg_has_role is:
//     roles and memberships change by statements that flush everything, and the watcher sees those of others.
//
//   - current_setting is judged by the name of the setting (SettingInKey, Decision.Settings).
//
// Casts in function notation (date(x), timestamptz(x)) are judged as casts.
var stableAllowed = setOf( //nolint:gochecknoglobals // constant
	// Date and time in the session's zone.
	"date", "time", "timestamp", "timestamptz", "date_part", "date_trunc", "extract", "date_add", "date_subtract", "overlaps", "generate_series",
	"make_timestamptz", "in_range", "to_char", "to_date", "to_timestamp", "to_number",
	// Printing values.
	"concat", "concat_ws", "format", "quote_literal", "quote_nullable", "array_to_string", "array_to_json",
	"to_json", "to_jsonb", "row_to_json", "json_build_array", "json_build_object", "jsonb_build_array", "jsonb_build_object",
	"json_agg", "json_agg_strict", "jsonb_agg", "jsonb_agg_strict",
	"json_object_agg", "json_object_agg_strict", "json_object_agg_unique", "json_object_agg_unique_strict",
	"jsonb_object_agg", "jsonb_object_agg_strict", "jsonb_object_agg_unique", "jsonb_object_agg_unique_strict",
	"string_agg", "money", "numeric", "xml", "xml_is_well_formed",
	// Reading JSON paths with time zones.
	"jsonb_path_exists_tz", "jsonb_path_match_tz", "jsonb_path_query_tz", "jsonb_path_query_array_tz", "jsonb_path_query_first_tz",
	"json_to_record", "json_to_recordset", "jsonb_to_record", "jsonb_to_recordset",
	// Text search with the session's configuration.
	"to_tsvector", "to_tsquery", "plainto_tsquery", "phraseto_tsquery", "websearch_to_tsquery",
	"json_to_tsvector", "jsonb_to_tsvector", "ts_headline",
	// Encodings: the database's never changes.
	"convert", "convert_from", "convert_to", "length",
	// The labels of an enumeration change by DDL only.
	"enum_first", "enum_last", "enum_range",
	// Who and where the session is.
	"current_database", "current_schema", "current_schemas", "current_user", "session_user",
	"pg_has_role", "current_setting", "getpgusername", "getdatabaseencoding", "pg_client_encoding",
)

// immutableDenied tells of functions of pg_catalog that are declared IMMUTABLE and still look at the catalog or the server.
func immutableDenied(name string) bool {
	return strings.HasPrefix(name, "pg_") && name != "pg_size_pretty" && name != "pg_size_bytes"
}

// zoned is AT TIME ZONE. For timetz alone it reads the clock (it is VOLATILE before version 14), and no value of that
// type can be there: its columns, casts and CURRENT_TIME are refused.
const zoned = "timezone"

// timeResults are the functions of pg_catalog that return a date, time or timestamp whatever they are given, so
// that converting their result to another such type reads no clock.
var timeResults = setOf( //nolint:gochecknoglobals // constant
	"date_trunc", "date_bin", "date_add", "date_subtract", zoned, "to_timestamp", "to_date",
	"make_date", "make_timestamp", "make_timestamptz", "generate_series",
)

// extensionStable are the STABLE functions of well-known extensions that depend on definitions and settings in the key alone.
// unaccent reads a text search dictionary, as to_tsvector does.
var extensionStable = setOf("unaccent") //nolint:gochecknoglobals // constant

// hstore's populate_record and #= turn texts into values of a record's types, which may be dates; their labels don't say so.
const populateRecord, populateOperator = "populate_record", "#="

type extensionOperator struct{ extension, name string }

// extensionSettings are the custom settings that STABLE operators of extensions depend on. For vector's operators, which index scans
// approximate by settings of theirs, every key holds these.
var extensionSettings = map[extensionOperator]string{ //nolint:gochecknoglobals // constant
	{"pg_trgm", "%"}:   "pg_trgm.similarity_threshold",
	{"pg_trgm", "<%"}:  "pg_trgm.word_similarity_threshold",
	{"pg_trgm", "%>"}:  "pg_trgm.word_similarity_threshold",
	{"pg_trgm", "<<%"}: "pg_trgm.strict_word_similarity_threshold",
	{"pg_trgm", "%>>"}: "pg_trgm.strict_word_similarity_threshold",
}

func setOf(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}
