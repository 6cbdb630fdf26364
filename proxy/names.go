package proxy

// doubt notes that a statement's name may be gone once the server has answered; nil when the name is not known. Until
// then nothing about the name is believed.
func (f *frontend) doubt(name string, certain bool) *prepared {
	old := f.statements[name]
	if old == nil {
		return nil
	}
	p := &prepared{name: name, sent: true, before: old, certain: certain}
	f.statements[name] = p
	f.doubtful = append(f.doubtful, p)
	return p
}

// endStatement notes that SQL is about to drop a statement, or all of them. Of several commands in one text it is
// not known which ones have succeeded: the name then stays in doubt until it is used anew.
func (f *frontend) endStatement(name string, single bool) {
	if p := f.doubt(name, single); p != nil && single {
		f.ending = append(f.ending, p)
	}
}

// takeEnding hands the names in doubt over to the message that is answered with their fate.
func (f *frontend) takeEnding() []*prepared {
	ending := f.ending
	f.ending = nil
	return ending
}

// settleNames resolves the doubts, latest first. Everything that was sent must have been answered.
func (f *frontend) settleNames() {
	for i := len(f.doubtful) - 1; i >= 0; i-- {
		p := f.doubtful[i]
		f.doubtful[i] = nil
		switch {
		case f.statements[p.name] != p: // prepared anew
		case p.gone.Load():
			delete(f.statements, p.name)
		case p.certain:
			f.statements[p.name] = p.before
		}
	}
	f.doubtful = f.doubtful[:0]
	for f.unnamed != nil && f.unnamed.skipped.Load() {
		f.unnamed = f.unnamed.before
	}
}

// dropsStatements tells whether a CommandComplete message says that statements were dropped.
func dropsStatements(tag []byte) bool {
	for _, of := range []string{"DEALLOCATE", "DISCARD ALL"} {
		if len(tag) >= len(of) && string(tag[:len(of)]) == of {
			return true
		}
	}
	return false
}
