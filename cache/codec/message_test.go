package codec_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgrecall/pgrecall/cache"
	"github.com/pgrecall/pgrecall/cache/codec"
)

// column is what RowDescription says of one.
type column struct {
	name                  string
	table, typ            uint32
	attribute, size, code int16
	modifier              int32
}

// frame puts a type and a length before a message's body.
func frame(typ byte, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{typ}, uint32(len(body)+4)), body...)
}

func rowDescription(columns ...column) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(columns)))
	for _, c := range columns {
		b = append(append(b, c.name...), 0)
		b = binary.BigEndian.AppendUint32(b, c.table)
		b = binary.BigEndian.AppendUint16(b, uint16(c.attribute))
		b = binary.BigEndian.AppendUint32(b, c.typ)
		b = binary.BigEndian.AppendUint16(b, uint16(c.size))
		b = binary.BigEndian.AppendUint32(b, uint32(c.modifier))
		b = binary.BigEndian.AppendUint16(b, uint16(c.code))
	}
	return frame('T', b)
}

// dataRow returns a row; nil is NULL.
func dataRow(values ...[]byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(values)))
	for _, v := range values {
		if v == nil {
			b = binary.BigEndian.AppendUint32(b, 0xffffffff)
			continue
		}
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
	}
	return frame('D', b)
}

func complete(rows int) []byte { return frame('C', fmt.Appendf(nil, "SELECT %d\x00", rows)) }

// mar draws whether to spoil a message, and spoils it: what looks like PostgreSQL's must come back, too.
func mar(t *rapid.T, b []byte) []byte {
	if len(b) == 0 || rapid.IntRange(0, 3).Draw(t, "mar") != 0 {
		return b
	}
	i := rapid.IntRange(0, len(b)-1).Draw(t, "at")
	switch rapid.IntRange(0, 2).Draw(t, "how") {
	case 0:
		b[i] = rapid.Byte().Draw(t, "byte")
		return b
	case 1:
		return b[:i]
	}
	return append(b, rapid.SliceOfN(rapid.Byte(), 1, 30).Draw(t, "more")...)
}

func drawRow(t *rapid.T) []byte {
	columns := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) column {
		return column{
			name:      rapid.StringMatching(`[a-z_é]{0,12}`).Draw(t, "name"),
			table:     rapid.Uint32().Draw(t, "table"),
			attribute: rapid.Int16().Draw(t, "attribute"),
			typ:       rapid.Uint32().Draw(t, "type"),
			size:      rapid.Int16().Draw(t, "size"),
			modifier:  rapid.Int32().Draw(t, "modifier"),
			code:      rapid.Int16().Draw(t, "format"),
		}
	}), 0, 8).Draw(t, "columns")
	return mar(t, rowDescription(columns...))
}

func drawData(t *rapid.T) []byte {
	var b []byte
	rows, columns := rapid.IntRange(0, 12).Draw(t, "rows"), rapid.IntRange(0, 5).Draw(t, "columns")
	for range rows {
		var values [][]byte
		for range columns {
			values = append(values, rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.Byte(), 0, 200)).Draw(t, "value"))
		}
		b = append(b, dataRow(values...)...)
	}
	return mar(t, append(b, complete(rows)...))
}

// oneRow is the answer to: select name, balance from accounts where id = 4711. Its messages have 98 bytes.
func oneRow() (row, data []byte) {
	row = rowDescription(column{"name", 16384, 25, 2, -1, 0, -1}, column{"balance", 16384, 20, 3, 8, 0, -1})
	return row, append(dataRow([]byte("Ada Love"), []byte("12345")), complete(1)...)
}

// TestOddMessagesComeBack: what is nearly as PostgreSQL sends it must not be taken for it.
func TestOddMessagesComeBack(t *testing.T) {
	c := open(t, codec.Options{})
	x, join := []byte("x"), func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	row := rowDescription(column{"n", 16384, 23, 1, 4, 0, -1})
	extremes := rowDescription(
		column{"", 1<<32 - 1, 0, math.MinInt16, math.MaxInt16, -1, math.MinInt32}, column{"b", 0, 1<<32 - 1, math.MaxInt16, math.MinInt16, 1, math.MaxInt32})
	for name, item := range map[string]codec.Item{
		"rows of different widths, wider last":    {Row: row, Data: join(dataRow(x), dataRow(x, x), complete(2))},
		"rows of different widths, narrower last": {Row: row, Data: join(dataRow(x, x), dataRow(x), complete(2))},
		"rows without columns":                    {Row: rowDescription(), Data: join(dataRow(), dataRow(), complete(2))},
		"more rows counted than there are":        {Data: join(dataRow(x), complete(2))},
		"fewer rows counted than there are":       {Data: join(dataRow(x), dataRow(x), complete(1))},
		"no end":                                  {Data: dataRow(x)},
		"more behind the end":                     {Data: join(dataRow(x), complete(1), x)},
		"another end":                             {Data: join(dataRow(x), frame('C', []byte("FETCH 1\x00")))},
		"a number written longer":                 {Data: join(dataRow(x), frame('C', []byte("SELECT 01\x00")))},
		"more behind the values":                  {Data: join(frame('D', []byte("\x00\x01\x00\x00\x00\x01xy")), complete(1))},
		"a value longer than the row":             {Data: join(frame('D', []byte("\x00\x01\x00\x00\x00\x02x")), complete(1))},
		"a value of a negative length":            {Data: join(frame('D', []byte("\x00\x01\xff\xff\xff\xfe")), complete(1))},
		"NULL and an empty value":                 {Data: join(dataRow(nil, []byte{}), complete(1))},
		"more behind the columns":                 {Row: frame('T', []byte("\x00\x00x"))},
		"a column without the end of its name":    {Row: frame('T', []byte("\x00\x01name"))},
		"another length":                          {Row: join(row, x)},
		"no columns":                              {Row: frame('n', nil)},
		"extreme numbers":                         {Row: extremes},
		"another format than text and binary":     {Row: rowDescription(column{"n", 1, 2, 3, 4, 2, -1})},
		"a format of all bits":                    {Row: rowDescription(column{"n", 1, 2, 3, 4, -1, -1})},
		"all that columns have":                   {Row: rowDescription(column{"n", 1, 2, 3, math.MinInt16, 1, 0}, column{"n", 1, 2, 3, math.MaxInt16, 0, math.MinInt32}, column{"n", 1, 2, 3, -1, 1, math.MaxInt32})},
		"nothing but a type":                      {Row: []byte("T"), Data: []byte("D")},
	} {
		item.TTL = time.Minute
		got, err := c.Decode(cache.Key{}, encode(t, c, cache.Key{}, &item))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if difference := same(got, &item); difference != "" {
			t.Errorf("%s: %s", name, difference)
		}
	}
}

// TestSmallResultsAreSmall holds what a small result takes: what follows from PostgreSQL's framing takes nothing.
func TestSmallResultsAreSmall(t *testing.T) {
	row, data := oneRow()
	if n := len(row) + len(data); n != 98 {
		t.Fatalf("the messages have %d bytes", n)
	}
	for name, test := range map[string]struct {
		options codec.Options
		most    int
	}{
		"plain":  {codec.Options{}, 103},
		"sealed": {codec.Options{Keys: []codec.Secret{secret(1)}}, 124},
	} {
		item := small()
		if n := len(encode(t, open(t, test.options), cache.Key{}, item)); n > test.most {
			t.Errorf("%s: %d bytes, at most %d wanted", name, n, test.most)
		}
	}
}

// small is an item as one in production: the log has seen a million events.
func small() *codec.Item {
	item := &codec.Item{
		TTL: time.Minute, Created: 1_795_000_000_123 * int64(time.Millisecond), Origin: 412 * time.Microsecond,
		Database: "accounts", Relations: []uint32{16384}, Fingerprint: 0x1234567890abcdef,
	}
	item.Position.Epoch, item.Position.Seq, item.Position.Nonce = 0x0123456789abcdef, 1_000_000, 0xfedcba9876543210
	item.Row, item.Data = oneRow()
	return item
}
