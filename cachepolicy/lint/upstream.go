package lint

import "github.com/pgrecall/pgrecall/invalidator"

// server judges the upstream as such, and what keeps all of its database out of the cache.
func (l *linter) server() {
	s := l.Server
	whole := func(level Level, code Code, what, change string) {
		l.add(Finding{Path: "upstream", Level: level, Code: code, What: what, Change: change})
	}
	if s.Standby {
		whole(LevelError, CodeUpstream, "the upstream is a standby: all writes come past pgrecall, so that answers may be as old as their TTL whatever consistency says",
			"name the primary")
	}
	if s.Pooler {
		level := LevelWarning
		if l.Fleet {
			level = LevelError
		}
		whole(level, CodeUpstream, "a pooler stands between pgrecall and the server: which of its processes does what can't be told",
			"put the pooler in front of pgrecall, or name the server itself")
	}
	if l.Fleet && !s.Control {
		whole(LevelError, CodeRights, "the account "+s.Account+" may not call pg_control_system, by which pgrecalls that share a cache know their upstream",
			"GRANT EXECUTE ON FUNCTION pg_control_system() TO "+s.Account)
	}
	for _, words := range s.Denied {
		whole(LevelWarning, CodeRights, "the account "+s.Account+" lacks a right, so that a part was not checked: "+words, "grant it to "+s.Account)
	}
	for _, d := range s.Databases {
		if !d.Connect {
			whole(LevelWarning, CodeRights, "the account "+s.Account+" may not connect to database "+d.Name+": nothing is cached there",
				"GRANT CONNECT ON DATABASE "+d.Name+" TO "+s.Account+", unless no client uses it")
		}
	}
	if l.Snapshot.UnsafeCasts {
		l.add(Finding{Level: LevelError, Code: CodeNothingCached,
			What:   "nothing of this database is cached: somebody made a cast between two built-in types whose function is not immutable",
			Change: "drop the cast, or declare its function IMMUTABLE if it is (SELECT castsource::regtype, casttarget::regtype, castfunc::regprocedure FROM pg_cast WHERE oid >= 16384)"})
	}
	if len(l.Snapshot.LoginTriggers) > 0 {
		if t := invalidator.AtLogin(l.Snapshot, l.Policy.Declared); t.Whole {
			l.add(Finding{Object: t.Culprit, Level: LevelError, Code: CodeNothingCached,
				What:   "nothing of this database is cached: an event trigger runs at each login and may change anything: " + t.Reason,
				Change: declareFunction(t.Culprit)})
		}
	}
}

// declareFunction says what to write into the configuration for a function whose doings are not certain.
func declareFunction(culprit string) string {
	if culprit == "" {
		return ""
	}
	return "declare it under functions: {name: " + culprit + ", writes: [...]}, or effects: none if it writes nothing (neither if it changes settings or defines things)"
}
