package pgtest

import (
	"errors"
	"os"
	"testing"
)

func TestRedisStopsStartsAndGoes(t *testing.T) {
	r, err := StartRedisServer(t.Context(), "--maxmemory", "10mb")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.ping(t.Context()); err == nil {
		t.Error("a killed server answers")
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(r.directory); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory: %v", err)
	}
	if err := StartRedis(t).ping(t.Context()); err != nil {
		t.Error(err)
	}
}
