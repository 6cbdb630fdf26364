package audit

import (
	"bytes"
	"time"
)

// tellAgain is how often a log that goes on failing is told of.
const tellAgain = time.Minute

const effectRequired = "the cache gives no answers until it can be written"

// run writes until Close.
func (l *Log) run(delay time.Duration) {
	defer close(l.done)
	tick := time.NewTicker(delay)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.write()
		case <-l.wake:
			l.write()
		case answer := <-l.reopen:
			answer <- l.rotate()
		case <-l.stop:
			l.write()
			l.end()
			return
		}
	}
}

// end closes the file, and counts what could not be written.
func (l *Log) end() {
	l.mu.Lock()
	l.left = l.lines + l.count
	l.mu.Unlock()
	l.lost.Add(l.left)
	if l.file == nil {
		return
	}
	if err := l.file.Close(); err != nil {
		l.logger.Error("the audit log was not closed in order", "file", l.path, "error", err)
	}
}

// rotate opens the file anew.
func (l *Log) rotate() error {
	l.write()
	old := l.file
	if err := l.open(); err != nil {
		return err
	}
	l.at = lineStart(l.writing, l.at) // what was cut off in the old file is whole in this one
	if old != nil {
		_ = old.Close()
	}
	l.write()
	return nil
}

// lineStart returns where the line begins that holds an offset.
func lineStart(b []byte, at int) int { return bytes.LastIndexByte(b[:at], '\n') + 1 }

// write writes what is pending, and what was left.
func (l *Log) write() {
	for {
		if l.writing == nil && !l.take() {
			l.well()
			return
		}
		n, err := l.out.Write(l.writing[l.at:])
		l.at += max(n, 0)
		if err != nil {
			l.failed(err)
			return
		}
		l.written.Add(l.lines)
		if cap(l.writing) <= 2*l.limit {
			l.spare = l.writing[:0]
		}
		l.writing, l.lines, l.at = nil, 0, 0
	}
}

// take takes what is pending.
func (l *Log) take() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) == 0 {
		return false
	}
	l.writing, l.lines = l.pending, l.count
	l.pending, l.count, l.spare = l.spare, 0, nil
	return true
}

// well notes that all has been written.
func (l *Log) well() {
	l.bad.Store(false)
	if l.told = (time.Time{}); l.said.Swap(false) {
		l.tellLost("the audit log is written again")
	}
	if l.lost.Load() > l.toldLost {
		l.tellLost("records of the audit log were lost: they came faster than they could be written")
	}
}

func (l *Log) tellLost(message string) {
	lost := l.lost.Load()
	l.logger.Warn(message, "file", l.path, "lost", lost-l.toldLost)
	l.toldLost = lost
}

// failed notes that what is left has to wait.
func (l *Log) failed(err error) {
	l.bad.Store(true)
	if !l.told.IsZero() && time.Since(l.told) < tellAgain {
		return
	}
	l.told = time.Now()
	l.said.Store(true)
	lost := l.lost.Load()
	effect := "records are lost when the buffer is full"
	if l.required.Load() {
		effect = effectRequired
	}
	l.logger.Error("the audit log can't be written", "file", l.path, "error", err, "effect", effect, "lost", lost-l.toldLost)
	l.toldLost = lost
}
