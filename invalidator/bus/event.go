package bus

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Process is a proxy for as long as its operating-system process lives: random, never 0. It keeps its Process while it loses its place among
// the members and takes a new one.
type Process uint32

// Tags is what a write may change, as other proxies need it: names, since slots differ from process to process.
type Tags struct {
	Database  string
	Relations []uint32 // OIDs in Database
	// Whole stands for everything in Database, Definition for its definitions, Cluster for all databases, Settings for the settings of
	// sessions.
	Whole, Definition, Cluster, Settings bool
	// Backend is the process id of the backend that writes, 0 where there is none: when a proxy has died others ask PostgreSQL whether it is
	// gone.
	Backend uint32
	// Flush is set where an operator flushes what is cached, in Database or, where that is empty, in all. Nothing was written then, and of the
	// others Database alone counts.
	Flush *Flush
}

// Flush says what is flushed: what all fields that are not empty fit. With none of them that is everything.
type Flush struct {
	Table       string // with or without its schema
	Tenant      string
	Fingerprint uint64
}

// kind is what an event says. The scripts know some of them as numbers.
type kind byte

const (
	kindFence     kind = 1 // a write is about to be sent upstream
	kindChanged   kind = 2 // a fence is over, what it covers has changed
	kindUnchanged kind = 3 // a fence is over, nothing has changed
	kindBump      kind = 4 // what the tags cover has changed and is visible already
	kindAll       kind = 5 // anything may have changed: a proxy wrote without the log
	kindJoin      kind = 6 // a member has come
	kindLeave     kind = 7 // a member has gone and writes nothing any more
	kindMissing   kind = 8 // a member is silent: nobody waits for it any more
)

// event is one entry of the log.
type event struct {
	kind    kind
	awaited bool    // the writer waits until all members have applied it
	process Process // whose it is, or whom it is about
	number  uint64  // of the process's fence
	tags    Tags
}

// Flags of an event's second byte.
const (
	flagWhole = 1 << iota
	flagDefinition
	flagCluster
	flagSettings
	flagAwaited
	flagFlush
)

var errEvent = errors.New("not an event")

// encode returns the event's bytes. The kind is the first byte: scripts turn a fence into its end by changing it.
func (e *event) encode() []byte {
	var flags byte
	for flag, set := range map[byte]bool{
		flagWhole: e.tags.Whole, flagDefinition: e.tags.Definition, flagCluster: e.tags.Cluster, flagSettings: e.tags.Settings, flagAwaited: e.awaited,
		flagFlush: e.tags.Flush != nil,
	} {
		if set {
			flags |= flag
		}
	}
	b := make([]byte, 0, 24+len(e.tags.Database)+4*len(e.tags.Relations))
	b = append(b, byte(e.kind), flags)
	b = binary.BigEndian.AppendUint32(b, uint32(e.process))
	b = binary.BigEndian.AppendUint64(b, e.number)
	b = binary.BigEndian.AppendUint32(b, e.tags.Backend)
	b = binary.AppendUvarint(b, uint64(len(e.tags.Database)))
	b = append(b, e.tags.Database...)
	if f := e.tags.Flush; f != nil {
		b = binary.BigEndian.AppendUint64(b, f.Fingerprint)
		b = binary.AppendUvarint(b, uint64(len(f.Table)))
		b = append(b, f.Table...)
		return append(b, f.Tenant...)
	}
	for _, oid := range e.tags.Relations {
		b = binary.BigEndian.AppendUint32(b, oid)
	}
	return b
}

// decode reads an event.
func decode(s string) (event, error) {
	b := []byte(s)
	const fixed = 1 + 1 + 4 + 8 + 4
	if len(b) < fixed+1 || b[0] < byte(kindFence) || b[0] > byte(kindMissing) {
		return event{}, fmt.Errorf("%w: %d bytes", errEvent, len(b))
	}
	flags := b[1]
	e := event{
		kind: kind(b[0]), awaited: b[1]&flagAwaited != 0,
		process: Process(binary.BigEndian.Uint32(b[2:])), number: binary.BigEndian.Uint64(b[6:]),
		tags: Tags{
			Whole: b[1]&flagWhole != 0, Definition: b[1]&flagDefinition != 0, Cluster: b[1]&flagCluster != 0, Settings: b[1]&flagSettings != 0,
			Backend: binary.BigEndian.Uint32(b[14:]),
		},
	}
	b = b[fixed:]
	length, n := binary.Uvarint(b)
	if n <= 0 || length > uint64(len(b)-n) {
		return event{}, fmt.Errorf("%w: wrong lengths", errEvent)
	}
	b = b[n:]
	e.tags.Database, b = string(b[:length]), b[length:]
	if flags&flagFlush != 0 {
		if len(b) < 8 {
			return event{}, fmt.Errorf("%w: wrong lengths", errEvent)
		}
		length, n = binary.Uvarint(b[8:])
		if n <= 0 || length > uint64(len(b)-8-n) {
			return event{}, fmt.Errorf("%w: wrong lengths", errEvent)
		}
		names := string(b[8+n:])
		e.tags.Flush = &Flush{Fingerprint: binary.BigEndian.Uint64(b), Table: names[:length], Tenant: names[length:]}
		return e, nil
	}
	if len(b)%4 != 0 {
		return event{}, fmt.Errorf("%w: wrong lengths", errEvent)
	}
	for ; len(b) > 0; b = b[4:] {
		e.tags.Relations = append(e.tags.Relations, binary.BigEndian.Uint32(b))
	}
	return e, nil
}
