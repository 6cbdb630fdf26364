// Package check holds what is deployed to what Docker Compose, Helm, Kubernetes, Prometheus Operator and GoReleaser take, by their own code or
// schemas. It is a module of its own, so that pgrecall's has none of their dependencies; `make test` runs it.
package check

import (
	"os"
	"path/filepath"
	"testing"
)

// root is the repository.
const root = "../.."

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func exists(t *testing.T, name string) bool {
	t.Helper()
	_, err := os.Stat(name)
	return err == nil
}
