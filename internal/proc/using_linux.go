package proc

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const deleted = " (deleted)" // what the kernel adds to the path of a file without a name

// descriptors are what the open files of a process are links to.
func descriptors(pid int) ([]string, error) {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	targets := make([]string, 0, len(entries))
	for _, e := range entries {
		if target, err := os.Readlink(dir + "/" + e.Name()); err == nil { // else closed meanwhile
			targets = append(targets, target)
		}
	}
	return targets, nil
}

// Exe is the path of the program that a process executes, which, unlike its name and command line, it cannot change.
func Exe(pid int) (string, error) {
	var path string
	err := AsRoot(func() (err error) {
		path, err = os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
		return err
	})
	return strings.TrimSuffix(path, deleted), err
}

// eachDescriptor visits the open files of every process that we may look into.
func eachDescriptor(visit func(p Process, link, target string)) error {
	return AsRoot(func() error {
		all, err := list(false)
		if err != nil {
			return err
		}
		for _, p := range all {
			dir := "/proc/" + strconv.Itoa(p.PID) + "/fd"
			entries, err := os.ReadDir(dir)
			if err != nil {
				continue
			}
			for _, e := range entries {
				if target, err := os.Readlink(dir + "/" + e.Name()); err == nil {
					visit(p, dir+"/"+e.Name(), target)
				}
			}
		}
		return nil
	})
}

// Holders are the processes that have the file open, we ourselves not among them.
func Holders(path string) ([]Process, error) {
	want, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	var found []Process
	err = eachDescriptor(func(p Process, link, target string) {
		if filepath.Base(target) != filepath.Base(path) || p.PID == os.Getpid() || (len(found) > 0 && found[len(found)-1].PID == p.PID) {
			return
		}
		if info, err := os.Stat(link); err == nil && os.SameFile(info, want) {
			found = append(found, p)
		}
	})
	return found, err
}

// KillHolders ends the processes that have the file open, other than ourselves: TERM, 5 s later KILL. Who still has it then is
// an error.
func KillHolders(ctx context.Context, path string) error {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		holders, err := Holders(path)
		if err != nil || len(holders) == 0 {
			return err
		}
		if err := SignalAll(holders, sig); err != nil {
			return err
		}
		Await(ctx, termGrace, func() bool {
			holders, err = Holders(path)
			return err != nil || len(holders) == 0
		})
		if err != nil || len(holders) == 0 {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return errors.New(path + ": still open in a process after KILL")
}

// Using finds the processes that use one of the directories or anything beneath, by the directories' names in the call, and those
// that we may not look into. A directory is known by every name that a mount gives it, also in another mount namespace; that one
// has a mount of it or in it is a use by the first of its processes. Kernel threads use none.
func Using(dirs []string) (uses map[string][]Use, unreadable []Process, err error) {
	real := make(map[string]string, len(dirs)) // as /proc shows it → as it was asked for
	for _, dir := range dirs {
		resolved, err := filepath.EvalSymlinks(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if resolved, err = filepath.Abs(resolved); err != nil {
			return nil, nil, err
		}
		real[resolved] = dir
	}
	uses = map[string][]Use{}
	err = AsRoot(func() error {
		names, err := newViews(real)
		if err != nil {
			return err
		}
		// A process may be forked by one that ends before its turn comes: those that are new are looked at until there are none,
		// or none that could have inherited anything any more.
		seen := map[int]uint64{}
		for range forks {
			all, err := list(false)
			if err != nil {
				return err
			}
			before := len(seen)
			for _, p := range all {
				if start, ok := seen[p.PID]; ok && start == p.Start {
					continue
				}
				seen[p.PID] = p.Start
				if !usesOf(p, names, uses) {
					unreadable = append(unreadable, p)
				}
			}
			if len(seen) == before {
				break
			}
		}
		return nil
	})
	return uses, unreadable, err
}

// forks is how often Using looks for new processes.
const forks = 4

// usesOf adds what p uses; false when we may not know all of it.
func usesOf(p Process, names *views, uses map[string][]Use) bool {
	base := "/proc/" + strconv.Itoa(p.PID) + "/"
	seen := map[Use]map[string]bool{}
	add := func(how, dir string) {
		use := Use{PID: p.PID, How: how}
		if seen[use] == nil {
			seen[use] = map[string]bool{}
		}
		if !seen[use][dir] {
			seen[use][dir] = true
			uses[dir] = append(uses[dir], use)
		}
	}
	view, first, err := names.of(p.PID)
	if err != nil {
		return gone(err)
	}
	if first { // the mounts of all in the namespace
		for _, dir := range view.mounts {
			add("mount", dir)
		}
	}
	note := func(how, target string) {
		if dir, ok := within(strings.TrimSuffix(target, deleted), view.names); ok {
			add(how, dir)
		}
	}
	for _, how := range []string{"cwd", "root", "exe"} {
		target, err := os.Readlink(base + how)
		if err != nil {
			return gone(err)
		}
		note(how, target)
	}
	targets, err := descriptors(p.PID)
	if err != nil {
		return gone(err)
	}
	for _, target := range targets {
		note("file", target)
	}
	maps, err := os.ReadFile(base + "maps")
	if err != nil {
		return gone(err)
	}
	for line := range strings.Lines(string(maps)) {
		if slash := strings.IndexByte(line, '/'); slash >= 0 {
			note("map", strings.ReplaceAll(strings.TrimSuffix(line[slash:], "\n"), `\012`, "\n"))
		}
	}
	return true
}

// gone tells whether a process could not be read because it has ended, which makes it use nothing.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}

// within finds which of the directories a path is in, by walking up from it.
func within(path string, real map[string]string) (string, bool) {
	for strings.HasPrefix(path, "/") {
		if dir, ok := real[path]; ok {
			return dir, true
		}
		if path == "/" {
			break
		}
		path = filepath.Dir(path)
	}
	return "", false
}
