package lint_test

import (
	"os"
	"strings"
	"testing"

	"github.com/pgrecall/pgrecall/cachepolicy/lint"
)

// TestDocumentedCodes holds the table of findings to the code.
func TestDocumentedCodes(t *testing.T) {
	text, err := os.ReadFile("../../docs/linting.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range lint.Codes {
		if !strings.Contains(string(text), "| `"+string(code)+"`") && !strings.Contains(string(text), ", `"+string(code)+"` |") {
			t.Errorf("docs/linting.md lacks %s", code)
		}
	}
}
