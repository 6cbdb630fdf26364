package proxy

import (
	"bytes"
	"slices"
	"strings"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/wire"
)

// effect is what a statement that sets something does to what pgrecall knows of the session.
type effect uint8

const (
	effectUnknown  effect = iota // the settings have to be read from the server again
	effectNone                   // no key holds the setting
	effectFollow                 // it is followed: see settingChange
	effectHarmless               // one of the last two, and a block that has only read can go on doing so
)

// settingChange is a statement that changes settings and is under way. What it does is known in advance; that it was done the server
// says. The frontend side makes it, the backend side fills in done and values, and the frontend side settles it once the session is
// idle.
type settingChange struct {
	inBlock  bool
	attached bool // it travels with an expectation, so that done means something
	unknown  bool // something else changes settings at the same time

	scope   *scope // before
	epoch   uint64 // of it
	customs *customs

	names []string // custom settings that are watched, one for each column of the answer where values come from there
	local []bool
	fixed bool     // values are known already: SET
	value []string // of names

	setting    string // an ordinary one: its name
	statement  string // ... and the canonical text
	everything bool   // DISCARD ALL

	done   bool
	failed bool // an error followed before the end of the transaction
}

// block is what a transaction block began with.
type block struct {
	open    bool
	lost    bool // what was known cannot be restored when the block ends
	customs *customs
	changes []customChange // what the block changed and its end undoes
}

// effectOf tells what a statement does to the session's settings, and how it is followed.
func (s *session) effectOf(p *plan) (effect, *settingChange) {
	f := &s.frontend
	t := &p.touched
	c := p.statement.Single()
	if c != nil && c.Kind == parser.KindDiscard && c.Tag == "DISCARD ALL" && f.scope != nil {
		return effectFollow, s.newChange(&settingChange{everything: true})
	}
	if c == nil || t.Definition || t.Temp || t.AllSettings || t.Whole || len(t.Relations) > 0 {
		return effectUnknown, nil
	}
	if !t.Settings {
		return effectNone, nil
	}
	if f.scope == nil {
		return effectUnknown, nil
	}
	change := s.newChange(&settingChange{})
	switch {
	case c.Kind == parser.KindSet:
		return s.effectOfSet(c, p, change)
	case c.Kind == parser.KindSelect && len(c.SettingCalls) > 0:
		return s.effectOfCalls(c, p, change)
	}
	return effectUnknown, nil
}

// newChange notes what was known before a change.
func (s *session) newChange(c *settingChange) *settingChange {
	f := &s.frontend
	c.scope, c.epoch, c.customs, c.inBlock = f.scope, f.epoch, f.customs, byte(s.status.Load()) != wire.StatusIdle
	return c
}

func (s *session) effectOfSet(c *parser.Command, p *plan, change *settingChange) (effect, *settingChange) {
	switch {
	case c.Tag == "SET CONSTRAINTS" || strings.HasPrefix(c.Tag, "SET TRANSACTION"):
		return effectNone, nil // of the transaction, not of the session
	case c.Setting == "":
		return effectUnknown, nil
	case s.irrelevant(c.Setting):
		return effectNone, nil
	case s.custom(c.Setting):
		if c.SettingDefault || c.SettingValue == "" {
			return effectUnknown, nil
		}
		change.names, change.local, change.value, change.fixed = []string{c.Setting}, []bool{c.SettingLocal}, []string{c.SettingValue}, true
		return effectFollow, change
	case c.SettingLocal || c.SettingDefault || c.SettingValue == "":
		return effectUnknown, nil
	}
	change.setting, change.statement = c.Setting, p.statement.Canonical
	return effectFollow, change
}

// effectOfCalls judges SELECT set_config(...). Its answer holds the values.
func (s *session) effectOfCalls(c *parser.Command, p *plan, change *settingChange) (effect, *settingChange) {
	for _, f := range p.snapshot.Functions(s.frontend.scope.Schemas, "", "set_config") {
		if !f.Builtin {
			return effectUnknown, nil
		}
	}
	relevant := false
	for _, call := range c.SettingCalls {
		if !s.irrelevant(call.Setting) {
			if !s.custom(call.Setting) {
				return effectUnknown, nil
			}
			relevant = true
		}
		change.names, change.local = append(change.names, call.Setting), append(change.local, call.Local)
	}
	if !relevant {
		return effectNone, nil
	}
	return effectFollow, change
}

// irrelevant tells whether no key holds the value of a setting, whatever it is.
func (s *session) irrelevant(name string) bool {
	switch {
	case strings.HasPrefix(name, "transaction_"), strings.HasPrefix(name, "pgrecall."):
		return false
	case strings.Contains(name, "."):
		return s.placeholder(name) && s.frontend.database.watch.current().index(name) < 0
	}
	return cachepolicy.SettingOutsideKeys(name)
}

// custom tells whether a setting is a watched one that no extension defines: PostgreSQL keeps its value as it was given.
func (s *session) custom(name string) bool {
	return strings.Contains(name, ".") && s.placeholder(name) && s.frontend.database.watch.current().index(name) >= 0
}

// placeholder tells whether a name with a dot is of nobody's that pgrecall knows (manual, section 20.16).
func (s *session) placeholder(name string) bool {
	if ownSetting(name) || strings.Contains(s.frontend.defined, "\x01"+name+"\x01") {
		return false
	}
	return !slices.Contains(strings.Split(approximateNames, ","), name)
}

// ownSetting tells whether a setting is one of those that every scope holds.
func ownSetting(name string) bool {
	return name == "pgrecall.cache" || name == "pgrecall.consistency" || name == "pgrecall.trace"
}

// beginChange notes that a statement which changes settings is about to be forwarded.
func (s *session) beginChange(p *plan) effect {
	f := &s.frontend
	effect, change := s.effectOf(p)
	if effect == effectNone {
		return effect
	}
	if f.change != nil || !f.known { // more than one at a time, or the state before is not known
		effect = effectUnknown
	}
	if effect == effectFollow && (change.statement != "" || change.everything) && change.inBlock {
		effect = effectUnknown // what its end undoes is not followed
	}
	f.changed = true
	if effect == effectUnknown {
		if f.change != nil {
			f.change.unknown = true
		}
		f.block.lost = true
		f.scope, f.customs, f.learning = nil, nil, nil
		return effect
	}
	f.change = change
	f.customs = nil // not known until the server has answered
	return effect
}

// undoChanges notes that the open transaction may end, or go back to a savepoint.
func (s *session) undoChanges() {
	f := &s.frontend
	if f.change != nil {
		f.change.unknown = true
	}
	if f.change != nil || len(f.block.changes) > 0 {
		f.customs = nil // until the session is idle
	}
}

// attach lets the change that foresee has just begun travel with the expectation of its statement.
func (s *session) attach(a *aside) *aside {
	c := s.frontend.change
	if c == nil || c.attached {
		return a
	}
	c.attached = true
	if a == nil {
		a = &aside{}
	}
	a.change = c
	return a
}

// answered takes a message of the answer to the statement that makes the change. It belongs to the backend side.
func (c *settingChange) answered(typ byte, message []byte) {
	switch {
	case c == nil || message == nil:
	case typ == wire.DataRow && !c.fixed && c.statement == "" && !c.everything && c.value == nil:
		scan := wire.Scan(message[wire.HeaderSize:])
		values := make([]string, 0, len(c.names))
		for range scan.Int16() {
			size := scan.Int32()
			values = append(values, string(scan.Bytes(max(int(size), 0))))
		}
		if scan.Ok() && len(values) == len(c.names) {
			c.value = values
		}
	case typ == wire.CommandComplete:
		tag := message[wire.HeaderSize:]
		c.done = bytes.HasPrefix(tag, []byte("SET")) || bytes.HasPrefix(tag, []byte("SELECT 1")) || bytes.HasPrefix(tag, []byte("DISCARD ALL"))
	}
}

// settleChange applies what the server has said. The session is idle; status is its own.
func (s *session) settleChange(status byte) {
	f := &s.frontend
	if c := f.change; c != nil {
		f.change = nil
		s.applyChange(c, status)
	}
	if status != wire.StatusIdle {
		f.block.open = true
		return
	}
	if b := f.block; b.open || b.lost || len(b.changes) > 0 {
		f.block = block{}
		switch {
		case b.lost:
			f.customs = nil
		case len(b.changes) > 0:
			f.customs = b.customs
			if f.customs != nil {
				f.customs = f.customs.without(b.changes)
			}
		}
	}
}

func (s *session) applyChange(c *settingChange, status byte) {
	f := &s.frontend
	switch {
	case c.unknown || c.failed || !c.attached || c.inBlock != (status != wire.StatusIdle):
		f.scope, f.customs = nil, nil
		f.block.lost = true
	case c.everything:
		f.scope, f.customs = nil, nil
		f.changed = f.changed && !c.done
		f.temporary, f.temporaryView = f.temporary && !c.done, f.temporaryView && !c.done
		if c.done && f.first != nil && f.firstEpoch == s.srv.settingsEpoch.Load() {
			f.scope, f.epoch = f.first, f.firstEpoch
		}
	case c.statement != "":
		f.customs = c.customs
		switch {
		case f.scope != nil: // it was learnt anew meanwhile
		case !c.done && status == wire.StatusIdle:
			f.scope = c.scope
		case c.done:
			f.learning = c
			if to, ok := s.srv.transitions.GetIfPresent(transition{c.scope, c.statement}); ok && to.epoch == s.srv.settingsEpoch.Load() {
				f.scope, f.epoch, f.learning = to.scope, to.epoch, nil
			}
		}
	case !c.done || c.value == nil:
		f.customs = nil // an error may have left an empty setting behind
		f.block.lost = true
	default:
		s.applyCustoms(c, status)
	}
}

func (s *session) applyCustoms(c *settingChange, status byte) {
	f := &s.frontend
	inBlock := status != wire.StatusIdle
	var now, undone []customChange
	for i, name := range c.names {
		change := customChange{name, c.value[i]}
		switch {
		case !c.local[i]:
			now = append(now, change)
			f.block.lost = f.block.lost || inBlock // a rollback would undo it
		case inBlock:
			now, undone = append(now, change), append(undone, change)
		default: // until the end of its own transaction, which is over
			undone = append(undone, change)
		}
	}
	if inBlock && len(f.block.changes) == 0 {
		f.block.customs = c.customs
	}
	if c.customs != nil {
		f.customs = c.customs.with(now)
	}
	switch {
	case inBlock:
		f.block.changes = append(f.block.changes, undone...)
	case f.customs != nil:
		f.customs = f.customs.without(undone)
	}
}

// transition is a statement that sets something in a scope. What comes of it is the same each time, until definitions, roles or defaults
// change, which changes the epoch.
type transition struct {
	from      *scope
	statement string
}

type transitionTo struct {
	scope *scope
	epoch uint64
}
