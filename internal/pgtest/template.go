package pgtest

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// newDataDirectory makes a cluster in dir, owned by the account, by copying the one that
// initdb made once for this version.
func newDataDirectory(ctx context.Context, inst installation, as account, dir string) error {
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	template := filepath.Join(cache, "cluster-"+inst.version)
	if err := once(template, func(made string) error { return initialise(ctx, inst, as, made) }); err != nil {
		return err
	}
	return copyTree(template, dir, as)
}

// initialise runs initdb. The server's user may not write to the cache, so that initdb works
// in a temporary directory.
func initialise(ctx context.Context, inst installation, as account, target string) error {
	temporary, err := as.temporaryDirectory()
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary) // best effort
	data := filepath.Join(temporary, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(inst.bin, "initdb"),
		"--pgdata", data, "--username", "postgres", "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync")
	initdb.Dir = temporary
	initdb.SysProcAttr = as.attributes()
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return copyTree(data, target, account{})
}

// copyTree copies files and directories with their permissions; the copies belong to the account.
func copyTree(from, to string, owner account) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if err := os.MkdirAll(target, 0o700); err != nil {
				return err
			}
		} else if err := copyFile(path, target, info.Mode().Perm()); err != nil {
			return err
		}
		return owner.chown(target)
	})
}

func copyFile(from, to string, mode fs.FileMode) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	if closeErr := target.Close(); err == nil {
		err = closeErr
	}
	return err
}
