package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxFile bounds the size of a configuration file in bytes.
const maxFile = 512 << 10

// file is a configuration file on its way into a Config.
type file struct {
	name   string
	config *Config
	errs   Errors
	lines  map[string]int // path of what was given -> line
}

func (f *file) fail(line int, path, format string, args ...any) {
	f.errs = append(f.errs, &Error{f.name, line, path, fmt.Sprintf(format, args...)})
}

// readFile returns the bytes of a file of bounded size.
func readFile(name string) ([]byte, error) {
	r, err := os.Open(name)
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return nil, Errors{{Source: name, What: fmt.Sprintf("cannot read the file: %v", err)}}
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return nil, Errors{{Source: name, What: fmt.Sprintf("cannot read the file: %v", err)}}
	}
	if len(data) > maxFile {
		return nil, Errors{{Source: name, What: "the file is larger than " + FormatBytes(maxFile)}}
	}
	return data, nil
}

// decode applies a file's text to the configuration. What is wrong goes to f.errs.
func (f *file) decode(data []byte) {
	f.lines = map[string]int{}
	doc, err := parse(data)
	if err != nil {
		line, what := 0, err.Error()
		var syntax interface {
			GetMessage() string
			GetToken() *token.Token
		}
		if errors.As(err, &syntax) {
			what = syntax.GetMessage()
			if t := syntax.GetToken(); t != nil && t.Position != nil {
				line = t.Position.Line
			}
		}
		f.fail(line, "", "not YAML: %s", what)
		return
	}
	var bodies []ast.Node
	for _, d := range doc.Docs {
		if d.Body != nil && d.Body.Type() != ast.CommentType && d.Body.Type() != ast.CommentGroupType {
			bodies = append(bodies, d.Body)
		}
	}
	switch len(bodies) {
	case 0:
	case 1:
		f.mapping(bodies[0], "", settings())
	default:
		f.fail(lineOf(bodies[1]), "", "a second YAML document: one file holds one configuration")
	}
	slices.SortStableFunc(f.errs, func(a, b *Error) int { return a.Line - b.Line })
}

// parse shields the loader from defects of the YAML library: bad input must end in an error.
func parse(data []byte) (doc *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			doc, err = nil, fmt.Errorf("the text cannot be parsed (%v)", p)
		}
	}()
	// Duplicate keys are found here, so that the first place can be named, too.
	return parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
}

// mapping decodes the mapping at prefix ("" or "cache.") with the settings that lie under it.
func (f *file) mapping(node ast.Node, prefix string, table []setting) {
	entries, ok := f.entries(node, strings.TrimSuffix(prefix, "."))
	if !ok {
		return
	}
	for _, e := range entries {
		path := prefix + e.key
		f.lines[path] = e.line
		switch path {
		case "rules":
			f.rules(e.value)
			continue
		case "functions":
			f.functions(e.value)
			continue
		case "triggers":
			f.triggers(e.value)
			continue
		}
		known, section := -1, false
		for i := range table {
			if table[i].path == path {
				known = i
			}
			section = section || strings.HasPrefix(table[i].path, path+".")
		}
		switch {
		case known >= 0:
			f.setting(&table[known], e)
		case section:
			f.mapping(e.value, path+".", table)
		default:
			f.fail(e.line, path, "unknown key%s", suggestion(e.key, keysUnder(prefix, table)))
		}
	}
}

// keysUnder lists the keys that the mapping at prefix may have.
func keysUnder(prefix string, table []setting) []string {
	var keys []string
	for i := range table {
		if rest, ok := strings.CutPrefix(table[i].path, prefix); ok {
			key, _, _ := strings.Cut(rest, ".")
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	if prefix == "" {
		keys = append(keys, "rules", "functions", "triggers")
	}
	return keys
}

func (f *file) setting(s *setting, e entry) {
	var values []string
	if list, ok := e.value.(*ast.SequenceNode); ok && s.list {
		for i, item := range list.Values {
			v, ok := f.scalar(item, fmt.Sprintf("%s[%d]", s.path, i))
			if !ok {
				return
			}
			values = append(values, v)
		}
	} else {
		if _, null := e.value.(*ast.NullNode); null || e.value == nil {
			return // "key:" says nothing, the default stays
		}
		v, ok := f.scalar(e.value, s.path)
		if !ok {
			return
		}
		values = []string{v}
	}
	if err := s.set(f.config, values); err != nil {
		f.fail(e.line, s.path, "%v", err)
	}
}

// entry is a key of a mapping with its value.
type entry struct {
	key   string
	line  int
	value ast.Node
}

// entries returns the keys of a mapping, or reports what is wrong with it.
func (f *file) entries(node ast.Node, path string) ([]entry, bool) {
	var pairs []*ast.MappingValueNode
	switch n := node.(type) {
	case nil, *ast.NullNode:
		return nil, true
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		f.refuse(node, path, "keys with values")
		return nil, false
	}
	entries := make([]entry, 0, len(pairs))
	first := make(map[string]int, len(pairs))
	for _, p := range pairs {
		if p == nil || p.Key == nil {
			continue
		}
		line := lineOf(p.Key)
		key, ok := written(p.Key)
		if !ok {
			f.fail(line, path, "a key must be a word")
			continue
		}
		if at, twice := first[key]; twice {
			f.fail(line, join(path, key), "given twice, first in line %d", at)
			continue
		}
		first[key] = line
		entries = append(entries, entry{key, line, p.Value})
	}
	return entries, true
}

// scalar returns a value as it is written: "10" of the number 10.
func (f *file) scalar(node ast.Node, path string) (string, bool) {
	s, ok := written(node)
	if !ok {
		f.refuse(node, path, "one value")
	}
	return s, ok
}

func written(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		if n.Value != nil {
			return strings.TrimRight(n.Value.Value, "\n"), true
		}
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		if t := n.GetToken(); t != nil {
			return t.Value, true
		}
	}
	return "", false
}

// refuse reports a node of the wrong kind.
func (f *file) refuse(node ast.Node, path, want string) {
	got := "something else"
	switch node.(type) {
	case nil, *ast.NullNode:
		got = "nothing"
	case *ast.MappingNode, *ast.MappingValueNode:
		got = "keys with values"
	case *ast.SequenceNode:
		got = "a list"
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		got = "an anchor or alias, which is not supported here"
	case *ast.TagNode:
		got = "a tag, which is not supported here"
	case *ast.StringNode, *ast.LiteralNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		got = "one value"
	}
	f.fail(lineOf(node), path, "want %s, got %s", want, got)
}

func lineOf(node ast.Node) int {
	if node == nil {
		return 0
	}
	// A mapping's own token is its first colon; its first key stands before it.
	if m, ok := node.(*ast.MappingNode); ok && len(m.Values) > 0 && m.Values[0] != nil && m.Values[0].Key != nil {
		node = m.Values[0].Key
	}
	if t := node.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
