package codec

import (
	"encoding/binary"
	"math"
	"time"
)

// The largest that a time.Duration holds.
const (
	maxMilliseconds = uint64(math.MaxInt64 / int64(time.Millisecond))
	maxMicroseconds = uint64(math.MaxInt64 / int64(time.Microsecond))
)

// reader takes values off the front of b. Once something is missing it has failed, b is empty, and all that it returns is zero.
type reader struct {
	b      []byte
	failed bool
}

func (r *reader) fail() { r.b, r.failed = nil, true }

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) uint64() uint64 {
	if len(r.b) < 8 {
		r.fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// bounded is a uvarint of at most so much.
func (r *reader) bounded(most uint64) uint64 {
	v := r.uvarint()
	if v > most {
		r.fail()
		return 0
	}
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// take returns the next n bytes, which belong to b.
func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

// message takes the message whose place in the shape is given by how far it is shifted.
func (r *reader) message(shape byte, shift int) kept {
	switch how := shape >> shift & 3; how {
	case shapeNil:
		return kept{}
	case shapeVerbatim:
		b := r.take(r.uvarint())
		return kept{how, b, len(b)}
	case shapePacked:
		before, n := r.b, 0
		switch shift {
		case shiftRow:
			n = sizeRow(r)
		case shiftData:
			n = sizeData(r)
		default:
			r.fail()
		}
		if n > packLimit {
			r.fail()
		}
		return kept{how, before[:len(before)-len(r.b)], n}
	}
	r.fail()
	return kept{}
}
