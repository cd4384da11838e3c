package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/git-rel/rel/internal/release"
)

// Lock takes the service, so that two roots which share it take turns, and waits for it until ctx is done. The lock is flock's on a
// file named after the unit or the pid file; the kernel frees it when the process dies, and the file is never unlinked.
func (s *Service) Lock(ctx context.Context) (unlock func(), err error) {
	dir, err := s.lockDir()
	if err != nil {
		return nil, s.errorf("lock: %w", err)
	}
	sum := sha256.Sum256([]byte(s.lockKey()))
	path := filepath.Join(dir, hex.EncodeToString(sum[:8])+".lock")
	if err := makeLock(path); err != nil {
		return nil, s.errorf("lock: %w", err)
	}
	lock := flock.New(path, flock.SetFlag(os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_CLOEXEC))
	taken, err := lock.TryLock()
	if err == nil && !taken {
		s.env.Warn(fmt.Sprintf("%s: waiting for %s", s.spec.Name, holder(path)))
		taken, err = lock.TryLockContext(ctx, 100*time.Millisecond)
	}
	if ctx.Err() != nil && !taken {
		return nil, release.Errorf(release.ExitLocked, "%s: taken by %s: %w", s.spec.Name, holder(path), context.Cause(ctx))
	}
	if err != nil {
		return nil, s.errorf("lock: %w", err)
	}
	text := fmt.Sprintf("pid %d for %s, since %s\n", os.Getpid(), s.env.Dir, time.Now().UTC().Format(time.RFC3339))
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil { // truncates and keeps the inode, which the lock is on
		return nil, errors.Join(s.errorf("lock: %w", err), lock.Unlock())
	}
	return func() {
		if err := lock.Unlock(); err != nil {
			s.env.Warn(fmt.Sprintf("%s: unlock: %v", s.spec.Name, err))
		}
	}, nil
}

// lockKey is what makes two configured services the same one.
func (s *Service) lockKey() string {
	unit := s.unitNow()
	switch {
	case unit != "":
		return "unit " + unit
	case s.spec.PIDFile != "":
		path := s.spec.PIDFile
		if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil { // /var/run is a link to /run
			path = filepath.Join(dir, filepath.Base(path))
		}
		return "pidfile " + path
	}
	return "listen " + strings.Join(s.spec.Listen, " ")
}

// lockDir is shared by all users: no sticky bit, since the kernel then refuses to open others' files for writing.
func (s *Service) lockDir() (string, error) {
	if s.env.LockDir != "" {
		return s.env.LockDir, os.MkdirAll(s.env.LockDir, 0o755)
	}
	var errs []error
	for _, dir := range []string{"/run/lock/rel", filepath.Join(os.TempDir(), "rel-locks")} {
		err := os.Mkdir(dir, 0o777)
		if err == nil {
			err = os.Chmod(dir, 0o777) // whatever the umask
		}
		info, statErr := os.Lstat(dir)
		if statErr == nil && info.IsDir() {
			return dir, nil
		}
		errs = append(errs, err, statErr)
	}
	return "", errors.Join(errs...)
}

func makeLock(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(file.Chmod(0o666), file.Close()) // whatever the umask
}

func holder(path string) string {
	data, err := os.ReadFile(path)
	if text := strings.TrimSpace(string(data)); err == nil && text != "" {
		return text
	}
	return "another process"
}
