package proc

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// mount is a line of /proc/PID/mountinfo: what of which file system is to be seen where.
type mount struct{ device, root, point string }

// spot is where a directory is, by whatever name it goes.
type spot struct{ device, path string }

// views are the names that the directories asked for have in each mount namespace: a container has its own, and a service of
// systemd with a private /tmp has the same ones anew.
type views struct {
	own   string          // our namespace
	spots map[string]spot // by the name in the question
	known map[string]view
}

// view is one namespace's.
type view struct {
	names  map[string]string // as /proc shows it there → as it was asked for
	mounts []string          // of the directories, those that something of is mounted, or that have a mount inside
}

func newViews(real map[string]string) (*views, error) {
	own, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return nil, err
	}
	mounts, err := mountsOf("self")
	if err != nil {
		return nil, err
	}
	v := &views{own: own, spots: map[string]spot{}, known: map[string]view{}}
	for path, asked := range real {
		v.spots[asked] = spotOf(path, mounts)
	}
	return v, nil
}

// of is the view that a process has; first is true when nobody had it before.
func (v *views) of(pid int) (one view, first bool, err error) {
	base := "/proc/" + strconv.Itoa(pid) + "/"
	key, err := os.Readlink(base + "ns/mnt")
	if err != nil {
		return view{}, false, err
	}
	who, root := "self", ""
	if key != v.own {
		// Mounts are told as seen from the process's root, other files from that of its namespace.
		if root, err = os.Readlink(base + "root"); err != nil {
			return view{}, false, err
		}
		who, root = strconv.Itoa(pid), strings.TrimSuffix(root, "/")
		key += root
	}
	one, ok := v.known[key]
	if ok {
		return one, false, nil
	}
	mounts, err := mountsOf(who)
	if err != nil {
		return view{}, false, err
	}
	one = v.see(mounts, root)
	v.known[key] = one
	return one, true, nil
}

// see finds the directories among the mounts of a namespace.
func (v *views) see(mounts []mount, root string) view {
	one := view{names: map[string]string{}}
	for asked, at := range v.spots {
		for _, m := range mounts {
			if rest, ok := beneath(at.path, m.root); ok && m.device == at.device {
				one.names[filepath.Join(root, m.point, rest)] = asked
			}
		}
	}
	for _, m := range mounts {
		for asked, at := range v.spots {
			if _, ok := beneath(m.root, at.path); ok && m.device == at.device {
				one.mounts = append(one.mounts, asked)
			}
		}
		if asked, _, ok := within(filepath.Join(root, m.point), one.names); ok {
			one.mounts = append(one.mounts, asked)
		}
	}
	return one
}

// spotOf finds a directory of our own namespace by the last mount that it is in.
func spotOf(path string, mounts []mount) spot {
	var at spot
	longest := -1
	for _, m := range mounts {
		if rest, ok := beneath(path, m.point); ok && len(m.point) >= longest {
			at, longest = spot{m.device, filepath.Join(m.root, rest)}, len(m.point)
		}
	}
	return at
}

// beneath tells what of path comes after dir, where it is dir or lies in it.
func beneath(path, dir string) (rest string, ok bool) {
	if dir == "/" || path == dir {
		return strings.TrimPrefix(path, dir), true
	}
	rest, ok = strings.CutPrefix(path, dir+"/")
	return rest, ok
}

func mountsOf(pid string) ([]mount, error) {
	data, err := os.ReadFile("/proc/" + pid + "/mountinfo")
	if err != nil {
		return nil, err
	}
	escapes := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var mounts []mount
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 4 {
			mounts = append(mounts, mount{device: f[2], root: escapes.Replace(f[3]), point: escapes.Replace(f[4])})
		}
	}
	return mounts, nil
}
