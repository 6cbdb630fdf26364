package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/config"
)

// TestConfigurationsAreValid keeps the files in step with what pgrecall accepts.
func TestConfigurationsAreValid(t *testing.T) {
	for name, text := range map[string]string{"never": neverRule, "roomy": roomy, "large": large, "small L1": smallL1, "session": large + consistency("session")} {
		file := filepath.Join(t.TempDir(), "pgrecall.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		upstream := []string{"--config", file, "--upstream", "postgres://postgres@127.0.0.1/postgres"}
		c, err := config.Load(upstream, func(string) string { return "" })
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if name == "session" && c.Policy.Consistency != cachepolicy.Session {
			t.Errorf("session: got %v", c.Policy.Consistency)
		}
		if name == "never" && (len(c.Policy.Rules) != 1 || c.Policy.Rules[0].Cache != cachepolicy.CacheNever) {
			t.Errorf("never: got %+v", c.Policy.Rules)
		}
	}
}
