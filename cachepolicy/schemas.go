package cachepolicy

import "strings"

// temporarySchema tells whether a schema's name stands for a session's temporary relations.
func temporarySchema(schema string) bool {
	return schema == "pg_temp" || strings.HasPrefix(schema, "pg_temp_") || strings.HasPrefix(schema, "pg_toast_temp_")
}

func systemSchema(schema string) bool {
	return schema == "pg_catalog" || schema == "information_schema" || schema == "pg_toast"
}
