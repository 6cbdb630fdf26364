package proxy

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"sync"
	"time"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/catalog"
	"github.com/pgrecall/pgrecall/wire"
)

// probeHead begins the query that reads everything of a session that a key depends on, in the session itself: what ALTER ROLE ... SET or a function did is seen,
// too. All settings count, but for those which can't change an answer. Custom ones (app.tenant) are not in pg_settings: whatever reads them
// calls current_setting, and is known by name (see custom.go). Those that have the value which the server was built with need not be listed.
const probeHead = `WITH listed AS MATERIALIZED (SELECT s.name, s.setting, s.boot_val FROM pg_catalog.pg_show_all_settings() s) SELECT session_user, current_user,
 CASE WHEN pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.=) '0' AND pg_catalog.strpos(pg_catalog.current_setting('search_path'), 'pg_temp') OPERATOR(pg_catalog.>) 0
  THEN NULL ELSE pg_catalog.array_to_string(pg_catalog.current_schemas(true), E'\x01') END,
 pg_catalog.current_setting('default_transaction_isolation'), pg_catalog.current_setting('standard_conforming_strings'),
 pg_catalog.current_setting('client_encoding'), pg_catalog.current_setting('pgrecall.cache', true),
 pg_catalog.current_setting('pgrecall.consistency', true), pg_catalog.current_setting('pgrecall.trace', true),
 pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.concat((SELECT pg_catalog.string_agg(s.name OPERATOR(pg_catalog.||) '=' OPERATOR(pg_catalog.||) pg_catalog.quote_nullable(s.setting), ',' ORDER BY s.name COLLATE pg_catalog."C")
  FROM listed s WHERE (s.setting OPERATOR(pg_catalog.=) s.boot_val) IS NOT TRUE AND NOT (s.name OPERATOR(pg_catalog.~) '^(` + cachepolicy.SettingsOutsideKeys + `)$')), '|',
  ARRAY(SELECT pg_catalog.current_setting(w.n, true) FROM pg_catalog.unnest('{` + approximateNames + `}'::pg_catalog.text[]) WITH ORDINALITY AS w(n, i) ORDER BY w.i)), 'UTF8')), 'hex'),
 ` + catalog.TemporaryNames + `,
 (SELECT pg_catalog.string_agg(s.name, E'\x01') FROM listed s WHERE pg_catalog.strpos(s.name, '.') OPERATOR(pg_catalog.>) 0),
 ARRAY(SELECT pg_catalog.current_setting(w.n, true) FROM pg_catalog.unnest('`

// probeTail follows the array of the watched settings' names. The process number is one of the server's own processes, which a crash
// replaces.
const probeTail = `'::pg_catalog.text[]) WITH ORDINALITY AS w(n, i) ORDER BY w.i)::pg_catalog.text,
 (SELECT pg_catalog.min(a.pid) FROM pg_catalog.pg_stat_get_activity(NULL) a WHERE a.datid IS NULL AND a.usesysid IS NULL)`

// Columns of the probe's result that are not part of the scope.
const (
	probeDefined = 11 // a library that is loaded later would make another scope of it
	probeCustoms = 12
	probeServer  = 13
)

// probeName is the name of the statement and the portal that a probe uses and closes again, so that the session's own
// unnamed ones live on.
const probeName = "pgrecall.probe"

// probeColumns is the number of columns of probeQuery.
const probeColumns = 14

// probeRetry is how long a session goes without the cache after a probe that failed.
const probeRetry = time.Second

// probe reads the settings of a session over its own upstream connection, while that is idle.
type probe struct {
	once   sync.Once
	done   chan struct{}
	result []string
}

// row takes the DataRow message of the result.
func (p *probe) row(message []byte) {
	if message == nil {
		return
	}
	scan := wire.Scan(message[wire.HeaderSize:])
	n := scan.Int16()
	values := make([]string, 0, n)
	for range n {
		size := scan.Int32()
		if size < 0 {
			values = append(values, "")
			continue
		}
		values = append(values, string(scan.Bytes(int(size))))
	}
	if scan.Ok() && n == probeColumns {
		p.result = values
	}
}

// finish wakes the frontend side. A nil result is a probe that failed.
func (p *probe) finish(result []string) {
	p.once.Do(func() {
		p.result = result
		close(p.done)
	})
}

// probeMessages are Close, Parse, Bind, Execute, Close of both and Sync.
func probeMessages(w *watched) []byte {
	b, at := wire.Begin(nil, wire.Close) // one that was cancelled may have left its statement behind
	b = wire.End(wire.AppendString(append(b, 'S'), probeName), at)
	b, at = wire.Begin(b, wire.Parse)
	b = wire.AppendString(wire.AppendString(b, probeName), probeHead+w.array+probeTail)
	b = wire.End(append(b, 0, 0), at)
	b, at = wire.Begin(b, wire.Bind)
	b = wire.AppendString(wire.AppendString(b, probeName), probeName)
	b = wire.End(append(b, 0, 0, 0, 0, 0, 0), at)
	b, at = wire.Begin(b, wire.Execute)
	b = wire.End(append(wire.AppendString(b, probeName), 0, 0, 0, 0), at)
	for _, kind := range []byte{'P', 'S'} {
		b, at = wire.Begin(b, wire.Close)
		b = wire.End(wire.AppendString(append(b, kind), probeName), at)
	}
	return append(b, wire.SyncMessage...)
}

// learnScope reads the session's settings when they are not known and the session is idle outside a transaction block (inside one, a
// query of ours could take the snapshot that the client's first query should). It may replace f.scope.
func (s *session) learnScope(need *plan) {
	f := &s.frontend
	s.checkScope()
	if !s.unlearnt(need) || f.database.watcher == nil || byte(s.status.Load()) != wire.StatusIdle || s.confused.Load() || s.replication {
		return
	}
	if f.noProbe != 0 && cache.Monotonic() < f.noProbe {
		return
	}
	epoch := s.srv.settingsEpoch.Load()
	s.settingsDirty.Store(false)
	p := &probe{done: make(chan struct{})}
	for _, kind := range []expectKind{expectClose, expectParse, expectBind, expectExecute, expectClose, expectClose, expectSync} {
		s.push(expectation{kind: kind, swallow: true, probe: p, outcome: outcomeProbe})
	}
	w := f.database.watch.current()
	if s.sendUpstream(probeMessages(w)) != nil {
		return
	}
	select {
	case <-p.done:
	case <-s.life.Done():
		return
	}
	if p.result == nil || s.settingsDirty.Load() {
		f.noProbe = cache.Monotonic() + int64(probeRetry)
		s.srv.metrics.probes["failed"].Inc()
		return
	}
	values, ok := parseTextArray(p.result[probeCustoms])
	sc := s.srv.scopes.intern(s.databaseName, p.result[:probeDefined])
	if !ok || len(values) != len(w.names) || sc == nil {
		f.noProbe = cache.Monotonic() + int64(probeRetry)
		s.srv.metrics.probes["failed"].Inc()
		return
	}
	s.srv.metrics.probes["done"].Inc()
	f.database.sees(s.srv, p.result[probeServer])
	f.noProbe, f.epoch = 0, epoch
	f.scope, f.customs = sc, newCustoms(w, values)
	f.temporary, f.temporaryView = len(sc.TemporaryNames) > 0, catalog.Temporary{Names: sc.TemporaryNames}.RunsSomething()
	if defined := "\x01" + p.result[probeDefined] + "\x01"; f.defined != defined {
		f.defined = defined
	}
	if !f.changed {
		f.first, f.firstEpoch = f.scope, epoch
	}
	if c := f.learning; c != nil && c.epoch == epoch {
		s.srv.transitions.Set(transition{c.scope, c.statement}, transitionTo{f.scope, epoch})
	}
	f.learning = nil
}

// sees notes which run of the server a session is connected to. Before the first session of another run is served, what was cached
// of the one before goes: a crash empties unlogged tables and can undo what was committed with synchronous_commit off.
func (d *database) sees(srv *Server, run string) {
	d.run.Lock()
	defer d.run.Unlock()
	if d.run.of != "" && d.run.of != run {
		srv.tell(d.name)
		srv.slots.Bump(d.slot)
		d.watcher.Invalidate()
	}
	d.run.of = run
}

// unlearnt tells whether something about the session's settings has to be read that decides on a plan.
func (s *session) unlearnt(p *plan) bool {
	f := &s.frontend
	tenant := s.srv.tenancy.setting != ""
	depends := len(p.decision.Settings) > 0 || tenant && p.decision.Verdict == cachepolicy.Cache ||
		p.begins && (tenant || f.database.watch.dependent.Load()) // what the block will ask is not known
	return f.scope == nil || depends && (f.customs == nil || f.customs.of != f.database.watch.current())
}

// checkScope drops the scope when a setting changed without the session's doing.
func (s *session) checkScope() {
	f := &s.frontend
	if f.scope != nil && (s.settingsDirty.Load() || f.epoch != s.srv.settingsEpoch.Load()) {
		f.scope, f.customs, f.learning = nil, nil, nil
	}
}

// scopes interns scopes, so that equal sessions share plans. It is bounded: a scope that is forgotten costs plans, no answers.
type scopes struct {
	mu  sync.Mutex
	all map[[32]byte]*scope
}

const scopeLimit = 10000

// intern tells scopes apart by all that was read. The digest in keys leaves out pgrecall's own settings, so that a session which traces,
// compares or asks for another consistency shares the entries of all others.
func (ss *scopes) intern(database string, result []string) *scope {
	digest := digestOf(append([]string{database}, result...))
	// Another version of pgrecall may leave other settings out of keys: the query tells which.
	keyed := digestOf(append(append([]string{probeHead, database}, result[:6]...), result[9:]...))

	ss.mu.Lock()
	defer ss.mu.Unlock()
	if sc := ss.all[digest]; sc != nil {
		return sc
	}
	if result[2] == "" {
		return nil // current_schemas would have made the temporary schema that the path names
	}
	names, err := catalog.ParseTemporaryNames(result[10])
	if err != nil {
		return nil
	}
	if ss.all == nil || len(ss.all) >= scopeLimit {
		ss.all = map[[32]byte]*scope{}
	}
	sc := &scope{
		Scope:         cachepolicy.Scope{Database: database, SessionUser: result[0], CurrentUser: result[1], Digest: keyed},
		readCommitted: result[3] == "read committed" || result[3] == "read uncommitted",
		mode:          strings.ToLower(result[6]),
		consistency:   strings.ToLower(result[7]),
		trace:         switchedOn(result[8]),
		utf8:          result[5] == "UTF8",
	}
	sc.Schemas = strings.Split(result[2], "\x01")
	sc.identity, sc.TemporaryNames = digest, names
	for _, schema := range sc.Schemas {
		sc.Temporary = sc.Temporary || strings.HasPrefix(schema, "pg_temp")
	}
	ss.all[digest] = sc
	return sc
}

// digestOf returns the SHA-256 of length-prefixed parts.
func digestOf(parts []string) (digest [32]byte) {
	h := sha256.New()
	for _, part := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		_, _ = h.Write(n[:])
		_, _ = h.Write([]byte(part))
	}
	h.Sum(digest[:0])
	return digest
}

// Values of pgrecall.cache.
const (
	modeOff    = "off"
	modeShadow = "shadow"
)

// switchedOn reads a custom setting as PostgreSQL reads booleans (manual, section 20.1.1), by the words that people use.
func switchedOn(value string) bool {
	switch strings.ToLower(value) {
	case "on", "true", "yes", "1":
		return true
	}
	return false
}

// decodableEncoding tells whether every byte below 0x80 of a text in this client_encoding is the ASCII character. In the
// others (SJIS, BIG5, GBK, UHC, GB18030, JOHAB, SHIFT_JIS_2004) it may be the second half of a character.
func decodableEncoding(name string) bool {
	switch name {
	case "UTF8", "SQL_ASCII":
		return true
	}
	return strings.HasPrefix(name, "LATIN") || strings.HasPrefix(name, "WIN") || strings.HasPrefix(name, "ISO_8859") || strings.HasPrefix(name, "KOI8")
}
