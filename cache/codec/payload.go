package codec

import (
	"encoding/binary"
	"fmt"
	"time"
)

// How a message is kept: two bits of the shape.
const (
	shapeNil = iota
	shapeVerbatim
	shapePacked
)

// Places in the shape.
const (
	shiftParameters  = 0
	shiftRow         = 2
	shiftData        = 4
	shapeFingerprint = 1 << 6
	shapeUnused      = 1 << 7
)

const leastTTL = time.Millisecond

func appendPayload(b []byte, item *Item) []byte {
	start := len(b)
	b = append(b, 0)
	b = binary.LittleEndian.AppendUint64(b, item.Position.Epoch)
	b = binary.AppendUvarint(b, item.Position.Seq)
	b = binary.LittleEndian.AppendUint64(b, item.Position.Nonce)
	b = binary.AppendUvarint(b, uint64(item.TTL.Milliseconds()))
	b = binary.AppendVarint(b, time.Unix(0, item.Created).UnixMilli())
	b = binary.AppendUvarint(b, microseconds(item.Origin))
	b = binary.AppendUvarint(b, uint64(len(item.Database)))
	b = append(b, item.Database...)
	b = binary.AppendUvarint(b, uint64(len(item.Relations)))
	previous := uint32(0)
	for _, oid := range item.Relations {
		b = binary.AppendVarint(b, int64(int32(oid-previous)))
		previous = oid
	}
	shape := byte(0)
	if item.Fingerprint != 0 {
		shape |= shapeFingerprint
		b = binary.LittleEndian.AppendUint64(b, item.Fingerprint)
	}
	var how byte
	how, b = appendMessage(b, item.Parameters, nil)
	shape |= how << shiftParameters
	how, b = appendMessage(b, item.Row, packRow)
	shape |= how << shiftRow
	how, b = appendMessage(b, item.Data, packData)
	shape |= how << shiftData
	b[start] = shape
	return b
}

// microseconds rounds up.
func microseconds(d time.Duration) uint64 {
	if d <= 0 {
		return 0
	}
	return (uint64(d) + 999) / 1000
}

// appendMessage appends a message and returns how. Pack reports whether it could, and may leave anything behind b where it could not.
func appendMessage(b, message []byte, pack func(b, message []byte) ([]byte, bool)) (how byte, extended []byte) {
	if message == nil {
		return shapeNil, b
	}
	if pack != nil && len(message) <= packLimit {
		if packed, ok := pack(b, message); ok && len(packed)-len(b) < len(message) {
			return shapePacked, packed
		}
	}
	b = binary.AppendUvarint(b, uint64(len(message)))
	return shapeVerbatim, append(b, message...)
}

// parse reads a payload. The item has at most so many bytes of messages; where it does not own the payload it has copies of all that it needs of
// it. Relations and the database's name stand apart from the messages: who keeps them keeps nothing else alive.
func (s *scratch) parse(payload []byte, owned bool, most int) (*Item, error) {
	r := reader{b: payload}
	item := new(Item)
	shape := r.byte()
	item.Position.Epoch = r.uint64()
	item.Position.Seq = r.uvarint()
	item.Position.Nonce = r.uint64()
	item.TTL = time.Duration(r.bounded(maxMilliseconds)) * time.Millisecond
	item.Created = time.UnixMilli(r.varint()).UnixNano()
	item.Origin = time.Duration(r.bounded(maxMicroseconds)) * time.Microsecond
	database := r.take(r.uvarint())
	// Each takes a byte or more, so that there are no more than the payload has bytes.
	relations := r.bounded(uint64(len(r.b)))
	if relations > 0 && !r.failed {
		item.Relations = make([]uint32, 0, relations)
		oid := uint32(0)
		for range relations {
			oid += uint32(r.varint())
			item.Relations = append(item.Relations, oid)
		}
	}
	if shape&shapeFingerprint != 0 {
		item.Fingerprint = r.uint64()
	}
	parameters := r.message(shape, shiftParameters)
	row := r.message(shape, shiftRow)
	data := r.message(shape, shiftData)
	if r.failed || len(r.b) != 0 || shape&shapeUnused != 0 || item.TTL < leastTTL {
		return nil, fmt.Errorf("%w: payload of %d bytes", ErrMalformed, len(payload))
	}
	if size := parameters.size + row.size + data.size; size > most {
		return nil, fmt.Errorf("%w: %d bytes of messages, limit %d", ErrTooLarge, size, most)
	}
	if string(database) != s.database {
		s.database = string(database)
	}
	item.Database = s.database
	block := make([]byte, 0, parameters.room(owned)+row.room(owned)+data.room(owned))
	item.Parameters, block = parameters.appendTo(block, owned, nil)
	item.Row, block = row.appendTo(block, owned, unpackRow)
	item.Data, _ = data.appendTo(block, owned, unpackData)
	return item, nil
}

// kept is a message in a payload.
type kept struct {
	how  byte
	b    []byte // as it is kept
	size int    // of the message
}

// room returns the bytes that appendTo appends. A message that is kept verbatim in a payload which the item owns stays where it is.
func (k kept) room(owned bool) int {
	if owned && k.how == shapeVerbatim {
		return 0
	}
	return k.size
}

// appendTo appends the message to a block that has room for it, and returns the message, whose capacity ends where it ends, and the block.
func (k kept) appendTo(block []byte, owned bool, unpack func(block, packed []byte) []byte) (message, extended []byte) {
	start := len(block)
	switch {
	case k.how == shapeNil:
		return nil, block
	case k.how == shapePacked:
		block = unpack(block, k.b)
	case owned:
		return k.b[:len(k.b):len(k.b)], block
	default:
		block = append(block, k.b...)
	}
	return block[start:len(block):len(block)], block
}
