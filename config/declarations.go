package config

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"

	"github.com/pgrecall/pgrecall/catalog"
)

// declarations returns where the file's declarations go.
func (f *file) declarations() *catalog.Declarations {
	if f.config.Policy.Declared == nil {
		f.config.Policy.Declared = &catalog.Declarations{}
	}
	return f.config.Policy.Declared
}

// functions decodes what is declared of functions.
func (f *file) functions(node ast.Node) {
	list, ok := f.list(node, "functions")
	if !ok || len(list) == 0 {
		return
	}
	f.config.functionsText = node.String()
	declared := make([]catalog.FunctionDeclaration, len(list))
	for i, item := range list {
		d := &declared[i]
		f.declaration(item, fmt.Sprintf("functions[%d]", i), map[string]any{
			"name": &d.Name, "effects": &d.Effects, "reads": &d.Reads, "writes": &d.Writes, "cache": &d.Cache,
		}, []string{"name", "effects", "reads", "writes", "cache"})
	}
	f.declarations().Functions = declared
}

// triggers decodes what is declared of triggers.
func (f *file) triggers(node ast.Node) {
	list, ok := f.list(node, "triggers")
	if !ok || len(list) == 0 {
		return
	}
	f.config.triggersText = node.String()
	declared := make([]catalog.TriggerDeclaration, len(list))
	for i, item := range list {
		d := &declared[i]
		f.declaration(item, fmt.Sprintf("triggers[%d]", i), map[string]any{
			"name": &d.Name, "table": &d.Table, "effects": &d.Effects, "writes": &d.Writes,
		}, []string{"name", "table", "effects", "writes"})
	}
	f.declarations().Triggers = declared
}

// declaration decodes one item into the fields of its keys.
func (f *file) declaration(node ast.Node, path string, fields map[string]any, keys []string) {
	f.lines[path] = lineOf(node)
	entries, ok := f.entries(node, path)
	if !ok {
		return
	}
	if len(entries) == 0 {
		f.fail(lineOf(node), path, "an empty declaration: it needs name and what it does")
	}
	for _, e := range entries {
		at := join(path, e.key)
		f.lines[at] = e.line
		field, known := fields[e.key]
		if !known {
			f.fail(e.line, at, "unknown key%s", suggestion(e.key, keys))
			continue
		}
		switch field := field.(type) {
		case *[]string:
			*field = f.relations(e, at)
		case *string:
			*field, _ = f.scalar(e.value, at)
		case *catalog.Effects:
			word, _ := f.scalar(e.value, at)
			*field = catalog.Effects(word)
		case *bool:
			f.yes(e, at, field)
		}
	}
}

// yes decodes true or false.
func (f *file) yes(e entry, path string, to *bool) {
	word, ok := f.scalar(e.value, path)
	switch {
	case !ok:
	case word == "true":
		*to = true
	case word != "false":
		f.fail(e.line, path, "%v", oneOf(word, "true", "false"))
	}
}

// relations takes a list of patterns or one.
func (f *file) relations(e entry, path string) []string {
	items := []ast.Node{e.value}
	if list, ok := e.value.(*ast.SequenceNode); ok {
		items = list.Values
	}
	if len(items) == 0 {
		f.fail(e.line, path, "an empty list: leave the key out, or write effects: none")
	}
	var relations []string
	for i, item := range items {
		at := fmt.Sprintf("%s[%d]", path, i)
		f.lines[at] = lineOf(item)
		if v, ok := f.scalar(item, at); ok {
			relations = append(relations, v)
		}
	}
	return relations
}
