package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// account is the operating system's user that servers run as. The zero value is the user of
// this process.
type account struct {
	name     string
	uid, gid uint32
}

// serverAccount returns the account for PostgreSQL, which refuses to run as root.
func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(found.Uid, 10, 32)
		if err != nil {
			return account{}, fmt.Errorf("uid of %s: %w", name, err)
		}
		gid, err := strconv.ParseUint(found.Gid, 10, 32)
		if err != nil {
			return account{}, fmt.Errorf("gid of %s: %w", name, err)
		}
		return account{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
	}
	return account{}, errors.New("run by root, and neither a user postgres nor nobody exists to run PostgreSQL")
}

// attributes are those of a process of this account. It has a process group of its own, so
// that an interrupt from the terminal reaches it through its parent only.
func (a account) attributes() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setpgid: true}
	if a.name != "" {
		attributes.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return attributes
}

func (a account) chown(path string) error {
	if a.name == "" {
		return nil
	}
	return os.Lchown(path, int(a.uid), int(a.gid))
}

// temporaryDirectory makes a directory that belongs to the account. Its path is short, since
// that of a Unix socket may have 107 bytes at most.
func (a account) temporaryDirectory() (string, error) {
	base := os.TempDir()
	if len(base) > 60 {
		base = "/tmp"
	}
	dir, err := os.MkdirTemp(base, "pgrecall-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // holds the socket that any user may connect to
		return "", err
	}
	return dir, a.chown(dir)
}
