package proc

import (
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

// Using finds the processes that use one of the directories or anything beneath, by the directories' names in the call, and those
// that we may not look into. A directory is known by every name that a mount gives it, also in another mount namespace; that one
// has a mount of it or in it is a use by the first of its processes. Kernel threads use none.
func Using(dirs []string) (uses map[string][]Use, unreadable []Process, err error) {
	uses = map[string][]Use{}
	err = eachUse(dirs, func(names *views) error {
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
				found, ok := usesOf(p, names)
				for _, use := range found {
					uses[use.Dir] = append(uses[use.Dir], use)
				}
				if !ok {
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

// UsesOf is Using of these processes alone, by pid: how each uses one of the directories. A process that has ended uses none.
func UsesOf(processes []Process, dirs []string) (uses map[int][]Use, unreadable []Process, err error) {
	uses = map[int][]Use{}
	err = eachUse(dirs, func(names *views) error {
		for _, p := range processes {
			found, ok := usesOf(p, names)
			uses[p.PID] = found
			if !ok {
				unreadable = append(unreadable, p)
			}
		}
		return nil
	})
	return uses, unreadable, err
}

// eachUse lets look with the directories' names, as root where we may be it.
func eachUse(dirs []string, look func(*views) error) error {
	real := make(map[string]string, len(dirs)) // as /proc shows it → as it was asked for
	for _, dir := range dirs {
		resolved, err := filepath.EvalSymlinks(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if resolved, err = filepath.Abs(resolved); err != nil {
			return err
		}
		real[resolved] = dir
	}
	return AsRoot(func() error {
		names, err := newViews(real)
		if err != nil {
			return err
		}
		return look(names)
	})
}

// usesOf is what p uses, the most telling first; false when we may not know all of it.
func usesOf(p Process, names *views) (uses []Use, ok bool) {
	base := "/proc/" + strconv.Itoa(p.PID) + "/"
	seen := map[Use]bool{}
	add := func(use Use) {
		if use.PID = p.PID; !seen[use] {
			seen[use] = true
			uses = append(uses, use)
		}
	}
	view, first, err := names.of(p.PID)
	if err != nil {
		return nil, gone(err)
	}
	note := func(how, target string) {
		path, deleted := strings.CutSuffix(target, deleted)
		if dir, rest, ok := within(path, view.names); ok {
			add(Use{How: how, Dir: dir, Path: dir + rest, Deleted: deleted})
		}
	}
	for _, how := range []string{"exe", "cwd", "root"} {
		target, err := os.Readlink(base + how)
		if err != nil {
			return uses, gone(err)
		}
		note(how, target)
	}
	maps, err := os.ReadFile(base + "maps")
	if err != nil {
		return uses, gone(err)
	}
	for _, path := range mapped(string(maps)) {
		note("map", path)
	}
	targets, err := descriptors(p.PID)
	if err != nil {
		return uses, gone(err)
	}
	for _, target := range targets {
		note("file", target)
	}
	if first { // the mounts of all in the namespace
		for _, dir := range view.mounts {
			add(Use{How: "mount", Dir: dir, Path: dir})
		}
	}
	return uses, true
}

// mapped are the files of /proc/PID/maps; those that are mapped in pieces, one after the other, once.
func mapped(maps string) []string {
	var found []string
	last := ""
	for line := range strings.Lines(maps) {
		slash := strings.IndexByte(line, '/')
		if slash < 0 || line[slash:] == last {
			continue
		}
		last = line[slash:]
		found = append(found, strings.ReplaceAll(strings.TrimSuffix(last, "\n"), `\012`, "\n"))
	}
	return found
}

// gone tells whether a process could not be read because it has ended, which makes it use nothing.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}

// within finds which of the directories a path is in, by walking up from it, and what of the path comes after that one.
func within(path string, real map[string]string) (dir, rest string, ok bool) {
	for at := path; strings.HasPrefix(at, "/"); at = filepath.Dir(at) {
		if dir, ok := real[at]; ok {
			return dir, path[len(at):], true
		}
		if at == "/" {
			break
		}
	}
	return "", "", false
}
