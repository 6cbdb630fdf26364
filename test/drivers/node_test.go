package drivers

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestNode installs the drivers of node/package-lock.json into the user's cache, once, and runs
// node/round.mjs with each.
func TestNode(t *testing.T) {
	modules := installNode(t)
	forEachTarget(t, func(t *testing.T, dsn string) {
		for _, driver := range []string{"pg", "postgres"} {
			t.Run(driver, func(t *testing.T) {
				output := command(t, "", "node", filepath.Join(modules, "round.mjs"), driver, dsn)
				if output != "ok\n" {
					t.Errorf("%s printed %q", driver, output)
				}
			})
		}
	})
}

// installNode copies the scripts beside a node_modules with the pinned drivers and returns the
// folder.
func installNode(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	lock, err := os.ReadFile("node/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(cache, "pgrecall", "node-drivers")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	installed, err := os.ReadFile(filepath.Join(folder, "installed"))
	fresh := err == nil && string(installed) == string(lock)
	for _, name := range []string{"package.json", "package-lock.json", "round.mjs"} {
		content, err := os.ReadFile(filepath.Join("node", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if fresh {
		return folder
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = folder
	if output, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, output)
	}
	if err := os.WriteFile(filepath.Join(folder, "installed"), lock, 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}
