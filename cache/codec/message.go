package codec

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
)

// packLimit is the size in bytes of a message, and of all rows together, up to which they are packed: larger ones are left to the compressor.
const packLimit = 4 << 10

// Sizes in PostgreSQL's messages, in bytes: a type, a length of four that counts itself, and in both of these a number of columns of two.
const (
	frameSize  = 1 + 4
	rowSize    = frameSize + 2
	columnSize = 4 + 2 + 4 + 2 + 4 + 2 // after the name and its zero byte: table, attribute, type, size, modifier, format
)

const selectTag = "SELECT "

// Columns have a form: their size (signed, varint as a number of 16 bits) above two bits, since most have no modifier.
const (
	formBinary   = 1
	formModifier = 2
	formSize     = 2 // bits below the size
)

// noModifier is the modifier of a type that has none: -1.
const noModifier = math.MaxUint32

// packRow appends a RowDescription packed; false when the message is none.
func packRow(b, message []byte) ([]byte, bool) {
	if len(message) < rowSize || message[0] != 'T' || uint64(binary.BigEndian.Uint32(message[1:]))+1 != uint64(len(message)) {
		return b, false
	}
	columns := binary.BigEndian.Uint16(message[5:])
	b = binary.AppendUvarint(b, uint64(columns))
	rest := message[rowSize:]
	table, attribute := uint32(0), uint16(0)
	for range columns {
		end := bytes.IndexByte(rest, 0) + 1
		if end == 0 || len(rest)-end < columnSize {
			return b, false
		}
		b = append(b, rest[:end]...)
		f := rest[end : end+columnSize]
		rest = rest[end+columnSize:]
		t, a := binary.BigEndian.Uint32(f), binary.BigEndian.Uint16(f[4:])
		b = binary.AppendVarint(b, int64(int32(t-table)))
		b = binary.AppendVarint(b, int64(int16(a-attribute)))
		table, attribute = t, a
		b = binary.AppendUvarint(b, uint64(binary.BigEndian.Uint32(f[6:])))
		size, modifier, format := int16(binary.BigEndian.Uint16(f[10:])), binary.BigEndian.Uint32(f[12:]), binary.BigEndian.Uint16(f[16:])
		if format > formBinary {
			return b, false
		}
		form := uint64(zigzag(size))<<formSize | uint64(format)
		if modifier == noModifier {
			b = binary.AppendUvarint(b, form)
			continue
		}
		b = binary.AppendUvarint(b, form|formModifier)
		b = binary.AppendVarint(b, int64(int32(modifier)))
	}
	return b, len(rest) == 0
}

// zigzag makes small numbers of those that are near 0.
func zigzag(n int16) uint16 { return uint16(n)<<1 ^ uint16(n>>15) }

func unzigzag(n uint16) int16 { return int16(n>>1) ^ -int16(n&1) }

// sizeRow takes a packed RowDescription and returns the size of the message.
func sizeRow(r *reader) int {
	columns := r.bounded(packLimit / (columnSize + 1))
	n := rowSize
	for range columns {
		n += r.column(nil) + columnSize
		if r.failed {
			return 0
		}
	}
	return n
}

// description is what RowDescription says of a column.
type description struct {
	name      []byte // with its zero byte
	table     uint32
	attribute uint16
	typ       uint32
	size      uint16
	modifier  uint32
	format    uint16
}

// column takes a packed column, notes it in d unless that is nil, and returns the size of its name. Table and attribute are added to those of the column before.
func (r *reader) column(d *description) int {
	name := r.take(uint64(bytes.IndexByte(r.b, 0) + 1))
	if len(name) == 0 {
		r.fail()
	}
	// Conversions cut off what no writer of ours has put there.
	table, attribute, typ, form := uint32(r.varint()), uint16(r.varint()), uint32(r.uvarint()), r.uvarint()
	modifier := uint32(noModifier)
	if form&formModifier != 0 {
		modifier = uint32(r.varint())
	}
	if d != nil {
		*d = description{
			name, d.table + table, d.attribute + attribute, typ,
			uint16(unzigzag(uint16(form >> formSize))), modifier, uint16(form & formBinary),
		}
	}
	return len(name)
}

// unpackRow appends the message that sizeRow has found sound.
func unpackRow(b, packed []byte) []byte {
	start := len(b)
	r := reader{b: packed}
	columns := r.uvarint()
	b = append(b, 'T', 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(columns))
	var d description
	for range columns {
		r.column(&d)
		b = append(b, d.name...)
		b = binary.BigEndian.AppendUint32(b, d.table)
		b = binary.BigEndian.AppendUint16(b, d.attribute)
		b = binary.BigEndian.AppendUint32(b, d.typ)
		b = binary.BigEndian.AppendUint16(b, d.size)
		b = binary.BigEndian.AppendUint32(b, d.modifier)
		b = binary.BigEndian.AppendUint16(b, d.format)
	}
	binary.BigEndian.PutUint32(b[start+1:], uint32(len(b)-start-1))
	return b
}

// packData appends DataRow messages of the same number of columns and the CommandComplete that counts them; false when the messages are others.
func packData(b, messages []byte) ([]byte, bool) {
	rows, columns, ok := countRows(messages)
	if !ok {
		return b, false
	}
	b = binary.AppendUvarint(b, uint64(rows))
	if rows == 0 {
		return b, true
	}
	b = binary.AppendUvarint(b, uint64(columns))
	for range rows {
		messages = messages[rowSize:]
		for range columns {
			n := int32(binary.BigEndian.Uint32(messages))
			messages = messages[4:]
			b = binary.AppendUvarint(b, uint64(n+1))
			if n > 0 {
				b = append(b, messages[:n]...)
				messages = messages[n:]
			}
		}
	}
	return b, true
}

// countRows checks that the messages are what packData takes: then nothing is lost.
func countRows(messages []byte) (rows, columns int, ok bool) {
	for len(messages) >= rowSize && messages[0] == 'D' {
		length := uint64(binary.BigEndian.Uint32(messages[1:])) + 1
		if length < rowSize || length > uint64(len(messages)) {
			return 0, 0, false
		}
		n := int(binary.BigEndian.Uint16(messages[5:]))
		if n == 0 || rows > 0 && n != columns {
			return 0, 0, false
		}
		rows, columns = rows+1, n
		values := messages[rowSize:length]
		for range columns {
			if len(values) < 4 {
				return 0, 0, false
			}
			size := int32(binary.BigEndian.Uint32(values))
			values = values[4:]
			if size < -1 || int(size) > len(values) {
				return 0, 0, false
			}
			values = values[max(size, 0):]
		}
		if len(values) != 0 {
			return 0, 0, false
		}
		messages = messages[length:]
	}
	var room [len(selectTag) + frameSize + 24]byte
	return rows, columns, bytes.Equal(messages, appendComplete(room[:0], uint64(rows)))
}

// sizeData takes packed rows and returns the size of their messages.
func sizeData(r *reader) int {
	rows, columns := r.uvarint(), uint64(0)
	if rows > 0 {
		columns = r.bounded(packLimit)
	}
	// Each value takes a byte or more.
	if rows > packLimit || rows*columns > uint64(len(r.b)) || rows > 0 && columns == 0 {
		r.fail()
		return 0
	}
	n := rows * (rowSize + 4*columns)
	for range rows * columns {
		if size := r.uvarint(); size > 0 {
			n += uint64(len(r.take(size - 1)))
		}
	}
	var room [len(selectTag) + frameSize + 24]byte
	return int(n) + len(appendComplete(room[:0], rows))
}

// unpackData appends the messages that sizeData has found sound.
func unpackData(b, packed []byte) []byte {
	r := reader{b: packed}
	rows, columns := r.uvarint(), uint64(0)
	if rows > 0 {
		columns = r.uvarint()
	}
	for range rows {
		start := len(b)
		b = append(b, 'D', 0, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(columns))
		for range columns {
			size := r.uvarint()
			b = binary.BigEndian.AppendUint32(b, uint32(size)-1) // NULL's is -1
			if size > 1 {
				b = append(b, r.take(size-1)...)
			}
		}
		binary.BigEndian.PutUint32(b[start+1:], uint32(len(b)-start-1))
	}
	return appendComplete(b, rows)
}

// appendComplete appends the CommandComplete message of a SELECT.
func appendComplete(b []byte, rows uint64) []byte {
	start := len(b)
	b = append(b, 'C', 0, 0, 0, 0)
	b = append(b, selectTag...)
	b = strconv.AppendUint(b, rows, 10)
	b = append(b, 0)
	binary.BigEndian.PutUint32(b[start+1:], uint32(len(b)-start-1))
	return b
}
