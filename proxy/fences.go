package proxy

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/pgrecall/pgrecall/invalidator"
	"github.com/pgrecall/pgrecall/parser"
	"github.com/pgrecall/pgrecall/proxy/traffic"
	"github.com/pgrecall/pgrecall/wire"
)

// longestLook bounds how long VACUUM waits for a look at the catalog.
const longestLook = time.Second

// foresee does what has to be done before a statement is forwarded: it fences what the statement touches, notes what
// the open block will touch at its COMMIT, and forgets what the statement may change about the session. A nil plan is a statement that
// nobody understands.
func (s *session) foresee(p *plan) {
	f := &s.frontend
	if p == nil {
		p = s.unknownPlan()
	}
	if f.temporaryView && f.scope == nil && len(p.statement.Commands) > 0 {
		p = s.unknownPlan() // a name may mean something temporary, and nobody sees what that calls or passes on
	}
	if p.pure {
		return
	}
	if p.vacuums && f.database.watcher != nil {
		f.database.watcher.AwaitRest(s.done, longestLook)
	}
	s.bindPortals()
	f.temporary = f.temporary || p.touched.Temp
	f.temporaryView = f.temporaryView || p.touched.TempView || f.temporary && p.touched.Definition || buildsOn(p.statement)
	status := byte(s.status.Load())
	known := f.known
	inBlock := known && status != wire.StatusIdle
	f.clean = false
	effect := s.foreseeSettings(p)
	if p.ends || undoes(p.statement) {
		s.undoChanges()
	}
	if c := p.statement.Single(); c != nil && c.Kind == parser.KindBegin && f.known && status == wire.StatusIdle {
		f.isolated = !p.begins || c.Isolation == "" && f.scope != nil && !f.scope.readCommitted
	}
	f.pureBlock = f.pureBlock && inBlock && effect == effectHarmless || p.begins && f.known && status == wire.StatusIdle && f.scope != nil && (f.scope.readCommitted || p.statement.Single().Isolation != "")
	s.foreseeStatements(p.statement)
	if p.ends || p.begins {
		f.known = false // of what follows in this cycle
	}

	if f.openFence != nil && !undoable(p.statement) { // it may commit what came before
		f.openFence.Undone = false
	}
	touches := s.fenceOf(p)
	if known && !inBlock {
		f.blockFence = nil // of a block that has ended
	}
	if inBlock && !p.ends && !p.touched.Reload {
		if touches == nil {
			return
		}
		if f.blockFence == nil {
			f.blockFence, f.blockOn = &invalidator.Fence{}, f.database.snapshot()
		}
		f.blockFence.Merge(s.srv.slots, touches)
		return
	}
	// A client that does not wait for answers may be in its block still, and this may be its COMMIT.
	ofBlock := (inBlock || !known && (p.ends || touches != nil)) && !f.blockFence.Empty()
	if ofBlock {
		if c := p.statement.Single(); inBlock && c != nil && c.Kind == parser.KindRollback && !c.Chain {
			return // nothing has happened
		}
		if touches == nil {
			touches = &invalidator.Fence{}
		}
		touches.Merge(s.srv.slots, f.blockFence)
		f.blockFence = nil
		if f.blockOn == nil || f.blockOn != f.database.snapshot() {
			touches.AddUnknown(s.srv.slots, f.database.slot, f.database.defining) // what a trigger made since then touches is not known
		}
	}
	if touches == nil {
		return
	}
	touches.Undone = touches.Undone && known && !inBlock
	touches.Raise(s.srv.slots, f.database.slot)
	switch {
	case p.snapshot == nil || p.snapshot != f.database.snapshot():
		touches.AddUnknown(s.srv.slots, f.database.slot, f.database.defining)
	case invalidator.Fenced(s.srv.slots.Load(f.database.defining)):
		// Definitions change at this moment. This write changes none, so that the next one need not touch everything because of it: writes
		// that overlap would keep everything fenced for ever.
		touches.AddWhole(s.srv.slots, f.database.slot)
	}
	err := s.announce(touches)
	if err == nil && !touches.Whole && touches.Widened(s.srv.slots) { // while the others were told: they may have heard of the definitions first
		touches.AddWhole(s.srv.slots, f.database.slot)
		err = s.announce(touches)
	}
	if err != nil {
		s.unforeseen(touches, ofBlock, errors.Is(err, errCancelRequest))
	}
	if f.openFence == nil {
		f.openFence = touches
		return
	}
	f.openFence.Merge(s.srv.slots, touches)
}

// unforeseen does what has to be done when a statement is not sent after all, because of a cancel request or because the session ends. Its fence
// stays up until the server has answered what it gets in its place.
func (s *session) unforeseen(touches *invalidator.Fence, ofBlock, canceled bool) {
	f := &s.frontend
	if !canceled {
		if s.hangUp(); !ofBlock {
			touches.Release(s.srv.slots, false)
		}
		return
	}
	f.canceled = true
	if !ofBlock {
		touches.Undone = true
		return
	}
	// The block may be saved by ROLLBACK TO SAVEPOINT, and its COMMIT has to be announced, too.
	f.blockFence = &invalidator.Fence{Definition: touches.Definition, Cluster: touches.Cluster, Settings: touches.Settings}
	f.blockFence.AddUnknown(s.srv.slots, f.database.slot, f.database.defining)
	if touches.Cluster {
		for _, d := range s.srv.allDatabases() {
			f.blockFence.Add(s.srv.slots, d.slot, d.defining)
		}
	}
	f.blockOn = f.database.snapshot()
}

// foreseeSettings does what has to be done before a statement that may change settings.
func (s *session) foreseeSettings(p *plan) effect {
	f := &s.frontend
	if !p.touched.Settings && !p.touched.Definition && !p.touched.Temp && !p.touched.AllSettings {
		return effectNone
	}
	effect := s.beginChange(p)
	switch {
	case effect == effectFollow && f.change.statement == "" && !f.change.everything, effect == effectNone:
		if c := p.statement.Single(); strings.HasPrefix(c.Tag, "SET TRANSACTION") {
			return effect
		}
		return effectHarmless
	}
	s.prepareAll() // literals of what the client prepared so far must be read under the settings of then
	f.scope = nil
	f.settingsInFlight = f.settingsInFlight || readsOtherwise(p)
	return effect
}

// readsOtherwise tells whether texts may mean something else to the server after a statement.
func readsOtherwise(p *plan) bool {
	if p.touched.Definition || p.touched.AllSettings || p.statement.Err != nil {
		return true
	}
	lexical := func(setting string) bool {
		return setting == "" || setting == "standard_conforming_strings" || setting == "client_encoding"
	}
	for i := range p.statement.Commands {
		c := &p.statement.Commands[i]
		switch c.Kind {
		case parser.KindSet:
			if lexical(c.Setting) && c.Tag != "SET CONSTRAINTS" && !strings.HasPrefix(c.Tag, "SET TRANSACTION") {
				return true
			}
		case parser.KindSelect:
			if !p.touched.Settings {
				continue
			}
			for _, call := range c.SettingCalls {
				if lexical(call.Setting) {
					return true
				}
			}
			if len(c.SettingCalls) == 0 {
				return true
			}
		case parser.KindBegin, parser.KindCommit, parser.KindRollback, parser.KindSavepoint, parser.KindRollbackTo, parser.KindTempDefinition:
		default:
			return true
		}
	}
	return false
}

// buildsOn tells whether a statement makes a temporary table with defaults that call something, or after the model of another.
func buildsOn(statement *parser.Statement) bool {
	for i := range statement.Commands {
		c := &statement.Commands[i]
		if c.Kind == parser.KindTempDefinition && c.Tag == "CREATE TABLE" && len(c.Functions)+len(c.Operators)+len(c.Reads) > 0 {
			return true
		}
	}
	return false
}

// undoable tells whether an error later in the transaction undoes all that a statement does: it is one that can't commit.
func undoable(statement *parser.Statement) bool {
	c := statement.Single()
	return c != nil && (c.Kind == parser.KindSelect || c.Kind == parser.KindWrite)
}

// undoes tells whether a statement goes back to a savepoint.
func undoes(statement *parser.Statement) bool {
	for i := range statement.Commands {
		if statement.Commands[i].Kind == parser.KindRollbackTo {
			return true
		}
	}
	return false
}

// unknownPlan is the plan of what nobody understands.
func (s *session) unknownPlan() *plan {
	return s.plan(unknownStatement)
}

// unknownStatement stands for a text that can't be read.
var unknownStatement = &parser.Statement{Err: errUnknownStatement}

// fenceOf returns what a plan touches, not raised yet, nil for nothing.
func (s *session) fenceOf(p *plan) *invalidator.Fence {
	if len(p.writeSlots) == 0 && !p.touched.Cluster && !p.touched.AllSettings {
		return nil
	}
	t := &p.touched
	fence := &invalidator.Fence{
		Definition: t.Definition, Cluster: t.Cluster || t.Reload, Settings: t.AllSettings, Reload: t.Reload,
		Undone: undoable(p.statement) && (!t.Whole || t.Missing) && !t.Definition && !t.Cluster && !t.AllSettings,
	}
	if fence.Whole = t.Whole || t.Definition; !fence.Whole {
		fence.Relations = slices.Clone(t.Relations)
	}
	fence.Add(s.srv.slots, p.writeSlots...)
	if fence.Cluster {
		for _, d := range s.srv.allDatabases() {
			fence.Add(s.srv.slots, d.slot, d.defining)
		}
	}
	if len(p.writeSlots) == 0 || t.Reload {
		fence.AddUnknown(s.srv.slots, s.frontend.database.slot, s.frontend.database.defining)
	}
	return fence
}

// takeFence hands the raised fence over to the message whose ReadyForQuery releases it.
func (f *frontend) takeFence() *invalidator.Fence {
	fence := f.openFence
	f.openFence = nil
	return fence
}

// release settles fences when ReadyForQuery tells the outcome: outside a block it is known, inside it is kept.
// It is called by the backend side, before the client can see the message.
func (s *session) release(fence *invalidator.Fence, status byte) {
	b := &s.backend
	undone := b.failed && fence.Raised() && fence.Undone && b.heldFence == nil
	b.failed = false
	if fence == nil && b.heldFence == nil {
		return
	}
	if undone && status == wire.StatusIdle && !s.confused.Load() {
		fence.Release(s.srv.slots, false)
		return
	}
	if status != wire.StatusIdle || s.confused.Load() {
		if fence != nil {
			if b.heldFence == nil {
				b.heldFence = &invalidator.Fence{}
			}
			b.heldFence.Merge(s.srv.slots, fence)
		}
		return
	}
	d := s.database
	for _, f := range []*invalidator.Fence{fence, b.heldFence} {
		if f.Raised() {
			s.srv.releaseFence(d, f)
		}
	}
	b.heldFence = nil
}

// releaseFence takes a fence down and invalidates what it covered. Where definitions changed, the catalog is
// invalid before the first entry can be judged by it.
func (srv *Server) releaseFence(d *database, fence *invalidator.Fence) {
	source := traffic.InBand
	if fence.Reload {
		fence.Reload = false
		srv.work.Go(func() { srv.awaitReload(d, fence) })
		return
	}
	if fence.Settings {
		srv.settingsEpoch.Add(1)
	}
	if fence.Definition || fence.Cluster {
		source = traffic.DDL
		affected := []*database{d}
		if fence.Cluster {
			affected = srv.allDatabases()
		}
		for _, d := range affected {
			if d.watcher != nil {
				d.watcher.Invalidate()
			}
		}
		srv.settingsEpoch.Add(1) // rights and defaults of roles may be other ones
	}
	fence.Release(srv.slots, true)
	srv.invalidated(source, d.name, fence.Whole, fence.Cluster, fence.Relations)
}
