package boards

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const dashboards = "../../deploy/grafana/dashboards"

// TestBoardsFitGrafanasTypes has TypeScript compare each board, as a literal, with the types; unknown keys are errors, too.
func TestBoardsFitGrafanasTypes(t *testing.T) {
	folder := project(t)
	files, err := filepath.Glob(filepath.Join(dashboards, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, folder, strings.TrimSuffix(filepath.Base(file), ".json")+".ts", board(string(content)))
	}
	if output, err := check(t, folder); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

// TestDefectsAreFound: the check above can fail.
func TestDefectsAreFound(t *testing.T) {
	folder := project(t)
	content, err := os.ReadFile(filepath.Join(dashboards, "overview.json"))
	if err != nil {
		t.Fatal(err)
	}
	defects := map[string][2]string{
		"panel": {`"type": "stat"`, `"type": "stats"`}, "key": {`"gridPos"`, `"gridpos"`}, "option": {`"graphMode"`, `"graphMod"`},
		"enumeration": {`"placement": "bottom"`, `"placement": "below"`}, "custom": {`"showPoints"`, `"showPoint"`},
		"query": {`"expr"`, `"expression"`}, "number": {`"refresh": 2`, `"refresh": 7`},
	}
	for name, defect := range defects {
		broken := strings.Replace(string(content), defect[0], defect[1], 1)
		if broken == string(content) {
			t.Fatalf("no %s in the board", defect[0])
		}
		write(t, folder, name+".ts", board(broken))
	}
	output, err := check(t, folder)
	if err == nil {
		t.Error("no defect was found")
	}
	for name := range defects {
		if !strings.Contains(output, name+".ts(") {
			t.Errorf("%s was not found in\n%s", name, output)
		}
	}
}

// board is a module that declares a board.
func board(json string) string {
	return "import type { Board } from './strict';\nexport const board: Board = " + json + ";\n"
}

// project makes a TypeScript project with the types.
func project(t *testing.T) string {
	t.Helper()
	modules := install(t)
	folder := t.TempDir()
	for _, name := range []string{"strict.ts", "tsconfig.json"} {
		content, err := os.ReadFile(filepath.Join("grafana", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, folder, name, string(content))
	}
	if err := os.Symlink(filepath.Join(modules, "node_modules"), filepath.Join(folder, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return folder
}

// check runs the compiler.
func check(t *testing.T, folder string) (string, error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "node", "--preserve-symlinks", "node_modules/typescript/bin/tsc", "--preserveSymlinks", "-p", ".")
	c.Dir = folder
	output, err := c.CombinedOutput()
	return string(output), err
}

func write(t *testing.T, folder, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// install puts what grafana/package-lock.json pins into the user's cache, once, and returns the folder.
func install(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	lock, err := os.ReadFile("grafana/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(cache, "pgrecall", "grafana-schema")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if installed, err := os.ReadFile(filepath.Join(folder, "installed")); err == nil && string(installed) == string(lock) {
		return folder
	}
	for _, name := range []string{"package.json", "package-lock.json"} {
		content, err := os.ReadFile(filepath.Join("grafana", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, folder, name, string(content))
	}
	npm := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = folder
	if output, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, output)
	}
	write(t, folder, "installed", string(lock))
	return folder
}
