package console

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/pgrecall/pgrecall/wire"
)

// kind is the type of a column.
type kind uint8

const (
	text kind = iota
	int8Kind
	float8
	boolean
	timestamptz
)

// oid returns the type's OID and length in bytes, as in pg_type.dat.
func (k kind) oid() (oid uint32, length int16) {
	switch k {
	case int8Kind:
		return 20, 8
	case float8:
		return 701, 8
	case boolean:
		return 16, 1
	case timestamptz:
		return 1184, 8
	}
	return 25, -1
}

// column is a column of an answer.
type column struct {
	name string
	kind kind
}

// Formats of values (section "Formats and Format Codes").
const (
	formatText   = 0
	formatBinary = 1
)

// appendRowDescription appends a RowDescription. Formats are one for each column, nil for text.
func appendRowDescription(dst []byte, columns []column, formats []int) []byte {
	dst, at := wire.Begin(dst, wire.RowDescription)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(columns)))
	for i, c := range columns {
		oid, length := c.kind.oid()
		dst = wire.AppendString(dst, c.name)
		dst = append(dst, 0, 0, 0, 0, 0, 0) // of no table
		dst = binary.BigEndian.AppendUint32(dst, oid)
		dst = binary.BigEndian.AppendUint16(dst, uint16(length))
		dst = append(dst, 0xff, 0xff, 0xff, 0xff) // no type modifier
		format := formatText
		if formats != nil {
			format = formats[i]
		}
		dst = binary.BigEndian.AppendUint16(dst, uint16(format))
	}
	return wire.End(dst, at)
}

// appendRow appends a DataRow. Values are string, int64, float64, bool or time.Time by their column's kind, nil for NULL.
func appendRow(dst []byte, row []any, formats []int) []byte {
	dst, at := wire.Begin(dst, wire.DataRow)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(row)))
	for i, v := range row {
		if v == nil {
			dst = append(dst, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		start := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		if formats != nil && formats[i] == formatBinary {
			dst = appendBinary(dst, v)
		} else {
			dst = appendText(dst, v)
		}
		binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	}
	return wire.End(dst, at)
}

// epoch is the zero of PostgreSQL's timestamps.
const epoch = 946684800 // 2000-01-01 in seconds since 1970

func appendBinary(dst []byte, v any) []byte {
	switch v := v.(type) {
	case int64:
		return binary.BigEndian.AppendUint64(dst, uint64(v))
	case float64:
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(v))
	case time.Time:
		return binary.BigEndian.AppendUint64(dst, uint64(v.UnixMicro()-epoch*1e6))
	case bool:
		if v {
			return append(dst, 1)
		}
		return append(dst, 0)
	}
	return appendText(dst, v)
}

func appendText(dst []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		if strings.IndexByte(v, 0) >= 0 {
			v = strings.ReplaceAll(v, "\x00", "")
		}
		return append(dst, strings.ToValidUTF8(v, "\ufffd")...)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case float64:
		return strconv.AppendFloat(dst, v, 'g', -1, 64)
	case time.Time:
		return v.UTC().AppendFormat(dst, "2006-01-02 15:04:05.999999+00")
	case bool:
		if v {
			return append(dst, 't')
		}
		return append(dst, 'f')
	}
	return dst
}

// appendTag appends a CommandComplete.
func appendTag(dst []byte, tag string) []byte {
	dst, at := wire.Begin(dst, wire.CommandComplete)
	return wire.End(wire.AppendString(dst, tag), at)
}
