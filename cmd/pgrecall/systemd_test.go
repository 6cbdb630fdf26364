package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgrecall/pgrecall/config"
)

const unit = "deploy/systemd/pgrecall.service"

// systemdAnalyze runs systemd-analyze, which needs no running systemd for this. Debian's package systemd has it; `make deps` installs it.
func systemdAnalyze(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatalf("%v: make deps installs it (package systemd)", err)
	}
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	return string(out), err
}

// complaints returns what systemd says of a unit. It verifies those that this one names, too, and complains about them.
func complaints(t *testing.T, text string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "pgrecall.service")
	// It wants commands to exist.
	if err := os.WriteFile(name, []byte(strings.ReplaceAll(text, "/usr/bin/pgrecall", self)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := systemdAnalyze(t, "verify", "--man=no", name)
	var ours []string
	for line := range strings.Lines(out) {
		if strings.Contains(line, "pgrecall.service") {
			ours = append(ours, line)
		}
	}
	if err != nil && len(ours) == 0 {
		t.Fatalf("systemd-analyze: %v\n%s", err, out)
	}
	return strings.Join(ours, "")
}

func TestUnit(t *testing.T) {
	text := string(read(t, unit))
	if got := complaints(t, text); got != "" {
		t.Error(got)
	}
	for _, change := range [][2]string{{"TimeoutStopSec=", "StopTimeoutSec="}, {"Type=notify", "Type=ready"}, {"ProtectSystem=strict", "ProtectSystem=most"}, {"ExecStart=/usr/bin/", "ExecStart=/nowhere/"}} {
		broken := strings.Replace(text, change[0], change[1], 1)
		if broken == text {
			t.Fatalf("no %s", change[0])
		}
		if complaints(t, broken) == "" {
			t.Errorf("%s is taken", change[1])
		}
	}
	version, err := systemdAnalyze(t, "--version")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := strconv.Atoi(regexp.MustCompile(`^systemd (\d+)`).FindStringSubmatch(version)[1]); err != nil {
		t.Fatal(err)
	} else if n < 250 {
		t.Logf("systemd %d does not weigh units without running: only their syntax was tested", n)
		return
	}
	// Of 100, less is better: 12 with systemd 252, 96 for a unit with nothing of this. What remains is the network and the host's files.
	name := filepath.Join(t.TempDir(), "pgrecall.service")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := systemdAnalyze(t, "security", "--offline=true", "--no-pager", "--threshold=20", name); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestUnitFits holds the unit to what the command does and to its defaults.
func TestUnitFits(t *testing.T) {
	text := string(read(t, unit))
	values := map[string][]string{}
	for _, m := range regexp.MustCompile(`(?m)^(\w+)=(.*)$`).FindAllStringSubmatch(text, -1) {
		values[m[1]] = append(values[m[1]], m[2])
	}
	number := func(name string) int {
		t.Helper()
		n, err := strconv.Atoi(values[name][0])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	defaults := config.Defaults()
	if stop := time.Duration(number("TimeoutStopSec")) * time.Second; stop < defaults.ShutdownGrace+10*time.Second {
		t.Errorf("killed after %s, running statements have %s", stop, defaults.ShutdownGrace)
	}
	if files := number("LimitNOFILE"); files < 4*defaults.MaxConnections {
		t.Errorf("%d files for %d clients", files, defaults.MaxConnections)
	}
	if got := values["ExecReload"]; len(got) != 2 || got[0] != "/usr/bin/pgrecall check" || got[1] != "/bin/kill -HUP $MAINPID" {
		t.Errorf("%v", got)
	}
	// `check` finds the file in the variable, as `serve` does, and a defect fails the reload before the signal.
	name, path, _ := strings.Cut(values["Environment"][0], "=")
	if path != "/etc/pgrecall/pgrecall.yaml" {
		t.Error(path)
	}
	for text, want := range map[string]int{"cache: {default_ttl: 6s}\n": exitOK, "cache: {default_ttl: 6}\n": exitFailure} {
		if status, told, complaint := runCommand(t, []string{name + "=" + writeFile(t, text)}, "check"); status != want {
			t.Errorf("check of %q: %d %s%s", text, status, told, complaint)
		}
	}
	// Every variable of the file for secrets is one that is read.
	secrets := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^#?(PGRECALL_\w+)=(.*)$`).FindAllStringSubmatch(string(read(t, "deploy/systemd/environment")), -1) {
		secrets[m[1]] = m[2]
	}
	if c := configured(t, secrets); c.Upstream == "" || c.Redis == "" {
		t.Errorf("%v", secrets)
	}
}
