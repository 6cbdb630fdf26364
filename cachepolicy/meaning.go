package cachepolicy

// Meaning says what a reason means for a user, and what would change it.
func (r Reason) Meaning() (what, change string) {
	switch r {
	case ReasonNotParsed:
		return "The text could not be parsed, so nobody knows what it does.", "Check it for syntax of a newer PostgreSQL or of an extension."
	case ReasonNotRead:
		return "It is not a read: there is no answer to keep.", "Nothing; it is forwarded and invalidates what it touches."
	case ReasonMultiStatement:
		return "Several statements were sent in one text.", "Send each statement by itself."
	case ReasonLocking:
		return "A locking clause (FOR UPDATE, FOR SHARE) must reach the rows.", "Leave the clause out where the rows are only read."
	case ReasonWritesInWith:
		return "It changes data (a data-modifying WITH, or SELECT INTO).", "Split the write from the read."
	case ReasonCurrentTime:
		return "It reads the clock, so each execution has another answer.", "Pass the time as a parameter, rounded as coarsely as you can afford."
	case ReasonTimeLiteral:
		return "A constant such as 'today' or 'now' means another moment each time.", "Pass the date itself."
	case ReasonTimeCast:
		return "A cast to or from a time type may read the clock or the day.", "Write the constant out in ISO format with its time zone, or compare without the cast."
	case ReasonSystemColumn:
		return "System columns (ctid, xmin ...) change without any write that a cache sees.", "Leave the column out."
	case ReasonTableSample:
		return "TABLESAMPLE returns other rows each time.", "Nothing."
	case ReasonUnsupported:
		return "It uses syntax whose effect on a cache is not known.", "Rewrite that part, or report it so that it can be supported."
	case ReasonNoRelation:
		return "It reads no relation: there is nothing that would ever invalidate its answer.", "Nothing; such a statement is cheap for PostgreSQL."
	case ReasonVolatile:
		return "A volatile function may return something else, or write, at each call.", "Call it in a statement of its own; make your own function STABLE if it only reads, or declare it under functions in the configuration."
	case ReasonStable:
		return "A STABLE function may read the clock, tables or settings that pgrecall does not see.", "For now() and its family pass the time as a parameter, rounded; give current_setting a constant name; declare what your own function reads under functions in the configuration, or write its query out."
	case ReasonUnknownFunction:
		return "The catalog has no function of that name that the session would find.", "Check the name and the search_path; a new function is known within the catalog interval."
	case ReasonUnknownOperator:
		return "The operator is unknown, or its function is not immutable.", "Check the operator and the volatility of its function."
	case ReasonUnknownType:
		return "The type is unknown, or its text form depends on more than pgrecall's keys hold.", "Cast to a built-in type."
	case ReasonUnsafeCast:
		return "A user-made cast that is not immutable may be applied where nothing names it.", "Declare the cast's function IMMUTABLE if it is."
	case ReasonLoginTrigger:
		return "An event trigger may change it at each login, and logins come past pgrecall, too.", "Declare what its function writes under functions in the configuration."
	case ReasonUnknownRelation:
		return "A name means no relation that the session would find.", "Check the name and the search_path (--user, --database); temporary tables are never cached."
	case ReasonSystemCatalog:
		return "System catalogs change without statements that name them.", "Nothing."
	case ReasonForeignTable:
		return "A foreign table's rows change elsewhere.", "Nothing; a materialized view over it can be cached."
	case ReasonRelationKind:
		return "It reads something other than a table, view or materialized view.", "Nothing."
	case ReasonTemporary:
		return "The name means, or may mean, a temporary relation of the session.", "Write schema-qualified names, or drop the temporary relations."
	case ReasonRowSecurity:
		return "A policy of row security has a form that can't be judged.", "Write the policy in plainer SQL, or report it so that it can be supported."
	case ReasonColumnType:
		return "A column's type has a text form that depends on more than pgrecall's keys hold.", "Change the column's type, or leave relations with such columns out."
	case ReasonRuleNever:
		return "A rule of the configuration says cache: never.", "Change the rule, or put a more specific one before it."
	case ReasonDirective:
		return "The comment /* pgrecall: off */ turns the cache off for this statement.", "Remove the comment."
	case ReasonSessionOff:
		return "The session has turned the cache off (pgrecall.cache).", "SET pgrecall.cache = on."
	case ReasonCacheOff:
		return "The configuration turns the cache off.", "Set cache.mode: on."
	case ReasonPaused:
		return "Somebody has paused the cache at the console.", "RESUME at the console."
	case ReasonShadow:
		return "In shadow mode every read goes to PostgreSQL.", "Set cache.mode: on."
	case ReasonDiffered:
		return "A verification found that the cache and the server differ for this shape.", "Find the cause (a write that bypasses pgrecall, most likely), then POST /api/allow."
	case ReasonNotWorth:
		return "Caching this shape costs more than it saves: it is asked for too rarely before its answer changes. It is tried again later (cache.auto).", "Nothing; or a longer TTL, or fewer writes to its tables."
	case ReasonResultLarge:
		return "The result is larger than max_result allows.", "Raise max_result for these tables, or read less."
	case ReasonAudit:
		return "The audit log can't be written, and no answer of the cache may go unrecorded (audit.required).", "See to the disk and the file of audit.file; it is tried again all the time."
	case ReasonTransaction:
		return "The transaction has written or locked, so it must see its own state.", "Read before the write or outside of the transaction."
	case ReasonIsolation:
		return "REPEATABLE READ and SERIALIZABLE promise a snapshot that the cache does not have.", "Use READ COMMITTED for these reads."
	case ReasonPipeline:
		return "Something that the session sent before is still unanswered.", "Wait for the answers, or read in another session."
	case ReasonSettings:
		return "A setting of the session that can change answers is not known right now.", "Avoid changing settings in functions and between statements."
	case ReasonEncoding:
		return "The client's encoding hides ASCII bytes in its characters.", "Use client_encoding UTF8."
	case ReasonPortal:
		return "The portal is fetched in parts (a row limit or cursor).", "Fetch all rows at once."
	case ReasonPrepared:
		return "The statement was prepared while the session had other settings, or ones that were not known.", "Prepare after settings are changed, not before; prepare again after SET."
	case ReasonReplication:
		return "A replication connection is passed through as it is.", "Nothing."
	case ReasonParameter:
		return "A parameter such as 'now' or 'today' means another moment each time.", "Pass the time itself."
	case ReasonProtocol:
		return "The order of messages was one that pgrecall only relays.", "Nothing, unless your driver can send Parse, Bind, Execute, Sync."
	case ReasonOversized:
		return "The message is larger than limits.max_held_message.", "Raise the limit, or send less in one message."
	case ReasonNoCatalog:
		return "The catalog is not loaded: without it names mean nothing.", "Look at /readyz; give pgrecall an account of its own in --upstream."
	case ReasonFenced:
		return "A write to one of the relations is on its way.", "Nothing; it passes with the write."
	case ReasonNone:
		return "", ""
	}
	return "A reason that this version has no sentence for.", ""
}
