package warm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/pgrecall/pgrecall/parser"
)

// maxFile bounds a file of statements, in bytes.
const maxFile = 64 << 20

// ReadFile reads a file; see Read.
func ReadFile(name string) ([]Item, error) {
	r, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxFile)
	}
	return Read(filepath.Base(name), data)
}

// Read reads queries from a text with this name: SQL, statements with semicolons between them, each of which is asked for as a simple query; or
// JSON, one Query after another, where an object may also be what GET /api/hot returns. Errors name the line.
func Read(name string, data []byte) ([]Item, error) {
	if trimmed := bytes.TrimLeft(data, " \t\r\n\ufeff"); len(trimmed) > 0 && trimmed[0] == '{' {
		return readJSON(name, data[len(data)-len(trimmed):], line(data, len(data)-len(trimmed)))
	}
	parts, err := parser.Split(string(data))
	if err != nil {
		var at *parser.SplitError
		if errors.As(err, &at) && at.Line > 0 {
			return nil, fmt.Errorf("%s:%d: %w", name, at.Line, err)
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	items := make([]Item, len(parts))
	for i, part := range parts {
		items[i] = Item{Query: Query{SQL: part.Text, Protocol: Simple}, Place: fmt.Sprintf("%s:%d", name, part.Line)}
	}
	return items, nil
}

func line(data []byte, offset int) int {
	return 1 + bytes.Count(data[:min(offset, len(data))], []byte{'\n'})
}

// readJSON reads a stream of objects whose first line has this number.
func readJSON(name string, data []byte, first int) ([]Item, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var items []Item
	for {
		rest := data[d.InputOffset():]
		at := first - 1 + line(data, len(data)-len(bytes.TrimLeft(rest, " \t\r\n")))
		var one struct {
			Query
			Queries []Query `json:"queries"`
		}
		err := d.Decode(&one)
		if errors.Is(err, io.EOF) {
			return items, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, at, err)
		}
		queries, numbered := []Query{one.Query}, one.Queries != nil && one.SQL == ""
		if numbered {
			queries = one.Queries
		}
		for i := range queries {
			place := fmt.Sprintf("%s:%d", name, at)
			if numbered {
				place = fmt.Sprintf("%s[%d]", name, i)
			}
			if err := queries[i].check(); err != nil {
				return nil, fmt.Errorf("%s: %w", place, err)
			}
			items = append(items, Item{Query: queries[i], Place: place})
		}
	}
}
