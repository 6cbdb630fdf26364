package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// archive is apt with a state of its own: the machine's sources, their source packages added, and lists in a temporary
// directory. Nothing of the machine changes, and no root is needed.
type archive struct {
	directory string
	options   []string
}

// openArchive loads the lists. The caller removes the directory.
func openArchive(ctx context.Context) (*archive, error) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, fmt.Errorf("the suites come from the distribution's packages: %w", err)
	}
	directory, err := os.MkdirTemp("", "pgrecall-apt-")
	if err != nil {
		return nil, err
	}
	a := &archive{directory: directory}
	for option, value := range map[string]string{
		"Dir::Etc::SourceList": "/dev/null", "Dir::Etc::SourceParts": "sources", "Dir::State::Lists": "lists",
		"Dir::Cache::archives": "archives", "Dir::Cache::pkgcache": "", "Dir::Cache::srcpkgcache": "",
	} {
		if value != "" && !filepath.IsAbs(value) {
			value = filepath.Join(directory, value)
			if err := os.MkdirAll(filepath.Join(value, "partial"), 0o755); err != nil {
				return nil, errors.Join(err, a.close())
			}
		}
		a.options = append(a.options, "-o", option+"="+value)
	}
	a.options = append(a.options, "-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none", "-q")
	if err := a.copySources(); err != nil {
		return nil, errors.Join(err, a.close())
	}
	// A third party's repository may well have no sources; whether those of the distribution were loaded shows later.
	_, updateErr := a.get(ctx, directory, "update")
	if out, err := a.cache(ctx, "policy", "libpq5"); err != nil || !bytes.Contains(out, []byte("Candidate:")) {
		return nil, errors.Join(errors.New("apt-get update"), updateErr, err, a.close())
	}
	return a, nil
}

func (a *archive) close() error { return os.RemoveAll(a.directory) }

// copySources copies the machine's sources in either format and asks for source packages, too.
func (a *archive) copySources() error {
	files, _ := filepath.Glob("/etc/apt/sources.list.d/*") // the pattern is well-formed
	for _, file := range append(files, "/etc/apt/sources.list") {
		content, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		target := filepath.Join(a.directory, "sources", filepath.Base(file))
		if err := os.WriteFile(target, withSources(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// withSources adds source packages to a file in the one-line or the deb822 format (sources.list(5)).
func withSources(file []byte) []byte {
	var out bytes.Buffer
	lines := bufio.NewScanner(bytes.NewReader(file))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "Types:") {
			line = "Types: deb deb-src"
		}
		fmt.Fprintln(&out, line)
		if rest, found := strings.CutPrefix(line, "deb "); found {
			fmt.Fprintln(&out, "deb-src", rest)
		}
	}
	return out.Bytes()
}

func (a *archive) get(ctx context.Context, directory string, arguments ...string) ([]byte, error) {
	return output(ctx, directory, "apt-get", append(append([]string{}, a.options...), arguments...)...)
}

func (a *archive) cache(ctx context.Context, arguments ...string) ([]byte, error) {
	return output(ctx, a.directory, "apt-cache", append(append([]string{}, a.options...), arguments...)...)
}

// versions returns the versions of a source package, as listed.
func (a *archive) versions(ctx context.Context, source string) ([]string, error) {
	out, err := a.cache(ctx, "showsrc", "--only-source", source)
	if err != nil {
		return nil, err
	}
	var versions []string
	for line := range strings.Lines(string(out)) {
		if version, found := strings.CutPrefix(line, "Version: "); found {
			versions = append(versions, strings.TrimSpace(version))
		}
	}
	if len(versions) == 0 {
		return nil, fmt.Errorf("no source package %s", source)
	}
	return versions, nil
}

// extract downloads binary packages, each NAME or NAME=VERSION, and unpacks them below root without installing them.
func (a *archive) extract(ctx context.Context, root string, packages ...string) error {
	downloads, err := os.MkdirTemp(a.directory, "download-")
	if err != nil {
		return err
	}
	if _, err := a.get(ctx, downloads, append([]string{"download"}, packages...)...); err != nil {
		return err
	}
	files, _ := filepath.Glob(filepath.Join(downloads, "*.deb")) // the pattern is well-formed
	for _, file := range files {
		if _, err := output(ctx, downloads, "dpkg-deb", "--extract", file, root); err != nil {
			return err
		}
	}
	return nil
}

// output runs a command to its end; its error holds what the command wrote.
func output(ctx context.Context, directory, name string, arguments ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, name, arguments...)
	command.Dir = directory
	command.Env = append(os.Environ(), "LC_ALL=C")
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}
