package main

import (
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	line := "4711 (a (strange) name) S 42 4711 4711 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5 6 7\n"
	got, err := parseStat([]byte(line))
	want := processStat{pid: 4711, parent: 42, cpu: 100 * clockTick}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, bad := range []string{"", "4711", "x (y) S 1", "1 (y) S 1 2 3", ")("} {
		if got, err := parseStat([]byte(bad)); !errors.Is(err, errProcFormat) {
			t.Errorf("%q: got %+v, %v, want %v", bad, got, err, errProcFormat)
		}
	}
}

func TestTreeCPUCountsDescendants(t *testing.T) {
	before, err := treeCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	// The grandchild spins; its shell only waits.
	command := exec.Command("sh", "-c", "timeout 1 sh -c 'while :; do :; done'; :")
	if err := command.Run(); err != nil {
		t.Fatal(err)
	}
	after, err := treeCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if used := after - before; used < 100*time.Millisecond {
		t.Errorf("a descendant spun for a second and %v were counted", used)
	}
}

func TestTreeCPUOfNobody(t *testing.T) {
	command := exec.Command("true")
	if err := command.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := treeCPU(command.Process.Pid); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("got %v, want %v", err, os.ErrProcessDone)
	}
}
