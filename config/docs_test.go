package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestDocumentedSettings holds the table of settings to the code.
func TestDocumentedSettings(t *testing.T) {
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range documentedSettings() {
		if !strings.Contains(string(text), row) {
			t.Errorf("docs/configuration.md lacks\n%s", row)
		}
	}
}

func documentedSettings() []string {
	var rows []string
	defaults := Defaults()
	for _, s := range settings() {
		value := strings.Join(s.get(defaults), ", ")
		if value != "" {
			value = "`" + value + "`"
		}
		reload := ""
		if s.reload {
			reload = "yes"
		}
		usage := strings.ReplaceAll(s.usage, "|", "\\|")
		rows = append(rows, fmt.Sprintf("| `--%s` | `%s` | %s | %s | %s |\n", s.flag, s.path, value, usage, reload))
	}
	return rows
}
