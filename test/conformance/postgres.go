package main

import (
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// majors are the versions whose suites are run, the first that the distribution serves.
var majors = [...]string{"15", "17", "16", "18", "14", "13"} //nolint:gochecknoglobals // constant

// postgres is one minor version of PostgreSQL with its test suites: the server, its clients and the sources come from
// packages of the same version, so that the expected output is that of the server. The machine's own
// installation may be newer and is not touched.
type postgres struct {
	directory string // in the cache
	version   string // of the packages, "15.18-0+deb12u1"
	major     string
}

// fetchPostgres returns the installation in the cache, and fetches it at the first time.
func fetchPostgres(ctx context.Context) (*postgres, error) {
	directory, err := pgtest.Cached("conformance-postgresql", func(directory string) error {
		a, err := openArchive(ctx)
		if err != nil {
			return err
		}
		return errors.Join(fillPostgres(ctx, a, directory), a.close())
	})
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL with its test suites: %w", err)
	}
	version, err := os.ReadFile(filepath.Join(directory, "version"))
	if err != nil {
		return nil, err
	}
	major, _, _ := strings.Cut(string(version), ".")
	return &postgres{directory: directory, version: string(version), major: major}, nil
}

// fillPostgres takes the first version of which both the sources and the binaries can be had: a mirror's lists may name a
// newer one than it serves.
func fillPostgres(ctx context.Context, a *archive, directory string) error {
	var failures error
	for _, major := range majors {
		versions, err := a.versions(ctx, "postgresql-"+major)
		if err != nil {
			failures = errors.Join(failures, err)
			continue
		}
		for _, version := range versions {
			err := fillVersion(ctx, a, directory, major, version)
			if err == nil {
				return os.WriteFile(filepath.Join(directory, "version"), []byte(version), 0o644)
			}
			failures = errors.Join(failures, err, os.RemoveAll(filepath.Join(directory, "root")))
		}
	}
	return failures
}

func fillVersion(ctx context.Context, a *archive, directory, major, version string) error {
	sources, err := os.MkdirTemp(a.directory, "source-")
	if err != nil {
		return err
	}
	if _, err := a.get(ctx, sources, "source", "--download-only", "postgresql-"+major+"="+version); err != nil {
		return err
	}
	root := filepath.Join(directory, "root")
	names := []string{"postgresql-" + major, "postgresql-client-" + major, "postgresql-server-dev-" + major}
	for i := range names {
		names[i] += "=" + version
	}
	if err := a.extract(ctx, root, names...); err != nil {
		return err
	}
	// The newest major's source package makes libpq; to an older one's clients a newer libpq is as good.
	if err := a.extract(ctx, root, "libpq5="+version); err != nil {
		if err := a.extract(ctx, root, "libpq5"); err != nil {
			return err
		}
	}
	if err := unpackTests(ctx, sources, directory); err != nil {
		return err
	}
	p := postgres{directory: directory, version: version, major: major}
	return p.compileModules(ctx)
}

// unpackTests unpacks the two suites from the tar archive of the sources.
func unpackTests(ctx context.Context, sources, directory string) error {
	found, _ := filepath.Glob(filepath.Join(sources, "*.orig.tar.*")) // the pattern is well-formed
	if len(found) != 1 {
		return fmt.Errorf("%d archives of sources", len(found))
	}
	arguments := []string{"--extract", "--strip-components=1", "--no-same-owner", "--wildcards", "*/src/test/regress", "*/src/test/isolation"}
	tar := exec.CommandContext(ctx, "tar", arguments...)
	tar.Dir = directory
	if strings.HasSuffix(found[0], ".bz2") { // a bare machine has no bzip2
		file, err := os.Open(found[0])
		if err != nil {
			return err
		}
		defer file.Close()
		tar.Stdin = bzip2.NewReader(file)
	} else {
		tar.Args = append(tar.Args, "--file", found[0])
	}
	if out, err := tar.CombinedOutput(); err != nil {
		return fmt.Errorf("unpack %s: %w: %s", filepath.Base(found[0]), err, out)
	}
	return nil
}

// compileModules makes the directory of the C functions that the regression tests load: their own, and two that the
// server's package has.
func (p *postgres) compileModules(ctx context.Context) error {
	if err := os.MkdirAll(p.modules(), 0o755); err != nil {
		return err
	}
	source := filepath.Join(p.suite("regress"), "regress.c")
	include := p.path("root/usr/include/postgresql/" + p.major + "/server")
	if _, err := output(ctx, p.modules(), "cc", "-O2", "-fPIC", "-shared", "-w", "-I", include, "-o", "regress.so", source); err != nil {
		return err
	}
	for _, module := range []string{"refint.so", "autoinc.so"} {
		if err := os.Symlink("../root/usr/lib/postgresql/"+p.major+"/lib/"+module, filepath.Join(p.modules(), module)); err != nil {
			return err
		}
	}
	return nil
}

// path returns the path of something in the installation's directory.
func (p *postgres) path(relative string) string { return p.directory + "/" + relative }

// suite returns the directory of a suite's tests.
func (p *postgres) suite(name string) string { return p.path("src/test/" + name) }

// modules returns the directory of the C functions.
func (p *postgres) modules() string { return p.path("modules") }

// bin returns the directory of the binaries.
func (p *postgres) bin() string {
	return p.path("root/usr/lib/postgresql/" + p.major + "/bin")
}

// driver returns the path of a test driver, which the package for extensions' authors has.
func (p *postgres) driver(suite, name string) string {
	return p.path("root/usr/lib/postgresql/" + p.major + "/lib/pgxs/src/test/" + suite + "/" + name)
}

// environment is what the clients run with.
func (p *postgres) environment() []string {
	libraries, _ := filepath.Glob(p.path("root/usr/lib/*-linux-gnu*")) // the pattern is well-formed
	return []string{
		"PATH=" + p.bin() + ":" + os.Getenv("PATH"), "LC_ALL=C", "LD_LIBRARY_PATH=" + strings.Join(libraries, ":"),
	}
}

// start starts a fresh cluster with the settings that pg_regress gives its own.
func (p *postgres) start(ctx context.Context, settings ...string) (*pgtest.Server, error) {
	settings = append([]string{"shared_buffers = 128MB", "max_prepared_transactions = 2"}, settings...)
	return pgtest.StartServer(ctx, pgtest.WithBin(p.bin()), pgtest.WithConfig(settings...))
}
