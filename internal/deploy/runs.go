package deploy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/service"
	"github.com/git-rel/rel/internal/store"
)

// ProcessStatus is a process of a service, and of which release it is.
type ProcessStatus struct {
	PID     int        `json:"pid"`
	Name    string     `json:"name"`
	Main    bool       `json:"main"`
	Since   time.Time  `json:"since"`
	Release release.ID `json:"release"` // "" where that cannot be told
	Tag     string     `json:"tag"`
	How     string     `json:"how"`            // one of the constants below
	Path    string     `json:"path,omitempty"` // of the release, by which it is seen
}

// How a process's release is known. By a file that it uses: as proc.Use has it, exe, cwd, root, map or file. Else:
const (
	HowAge     = "age"     // it started when the service had taken the live release over: what it has loaded since is of that one
	HowReload  = "reload"  // it is the main process, which was seen to reload
	HowUnseen  = "unseen"  // this user may not look into it
	HowUnknown = "unknown" // it is older, and uses no file of a release
	HowSkipped = "skipped" // there were too many to look into all
)

// sight is what /proc shows of processes: what each uses of releases, and which ones may not be looked into.
type sight struct {
	site   *Site
	live   release.ID
	uses   map[int][]proc.Use
	unseen map[int]bool
}

// lookInto reads what processes use of releases, where live is the live one. Releases' directories are named by the one that they are
// in, so that one which was removed is told, too.
func (s *Site) lookInto(all []service.Running, live release.ID) (sight, error) {
	dirs := []string{s.Root.ReleasesDir()}
	if s.Root.Layout.Mode == store.ModeDirectory && live != "" {
		dirs = append(dirs, s.Root.LivePath())
	}
	processes := make([]proc.Process, len(all))
	for i, one := range all {
		processes[i] = one.Process
	}
	uses, unreadable, err := proc.UsesOf(processes, dirs)
	seen := sight{site: s, live: live, uses: uses, unseen: map[int]bool{}}
	for _, p := range unreadable {
		seen.unseen[p.PID] = true
	}
	return seen, err
}

// release is the release whose files a use is of; "" of what is none.
func (v sight) release(use proc.Use) release.ID {
	if use.Dir != v.site.Root.ReleasesDir() {
		return v.live
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(use.Path, use.Dir), "/"), "/")
	if _, ok := release.ID(name).Time(); !ok || use.How == "mount" { // which is there for all of a namespace
		return ""
	}
	return release.ID(name)
}

// of is the release that a process is seen to use, and how: one that is not live before the live one, since it is what matters then.
func (v sight) of(pid int) (id release.ID, use proc.Use) {
	for _, one := range v.uses[pid] {
		switch found := v.release(one); {
		case found == "":
		case found != v.live:
			return found, one
		case id == "":
			id, use = found, one
		}
	}
	return id, use
}

// pathOf is what a use is of, as people are told it.
func pathOf(use proc.Use) string {
	if use.Deleted {
		return use.Path + " (deleted)"
	}
	return use.Path
}

// maxLookedInto is how many processes of a service rel status looks into: some 100 µs for each.
const maxLookedInto = 100

// processes are the service's, with the release of each; took says how the service took over what is live.
func (s *Site) processes(one *service.Service, state service.State, v view, took release.Took) ([]ProcessStatus, error) {
	if err := one.FindSharers(state); err != nil {
		return nil, err
	}
	all, err := one.Running(state)
	if err != nil {
		return nil, err
	}
	seen, err := s.lookInto(all[:min(len(all), maxLookedInto)], v.Live.ID)
	if err != nil {
		return nil, err
	}
	found := make([]ProcessStatus, 0, len(all))
	for i, p := range all {
		status := ProcessStatus{PID: p.PID, Name: p.Comm, Main: p.Main, Since: p.StartedAt(s.Now()).UTC().Truncate(time.Second)}
		id, use := seen.of(p.PID)
		switch {
		case i >= maxLookedInto:
			status.How = HowSkipped
		case id != "":
			status.Release, status.How, status.Path = id, use.How, pathOf(use)
		case seen.unseen[p.PID]:
			status.How = HowUnseen
		default:
			status.How = howOld(p.Process, took)
			if status.How != HowUnknown {
				status.Release = v.Live.ID
			}
		}
		status.Tag = tagOf(v.Releases, status.Release)
		found = append(found, status)
	}
	return found, nil
}

// howOld tells how a process that uses no file of a release is known to be of the live one: by when it started.
func howOld(p proc.Process, took release.Took) string {
	switch {
	case took.Since == 0:
		return HowUnknown
	case took.Boot != proc.BootID() || p.Start >= took.Since: // all of this boot is younger than an earlier one
		return HowAge
	case p.PID == took.PID && p.Start == took.Start:
		return HowReload
	}
	return HowUnknown
}

// tagOf is the tag of a release, as its id has it where it is no longer on disk.
func tagOf(releases []release.Release, id release.ID) string {
	i := slices.IndexFunc(releases, func(one release.Release) bool { return one.ID == id })
	if i >= 0 {
		return releases[i].Tag
	}
	_, tag, _ := strings.Cut(string(id), "-")
	return tag
}

// useText says what a process was seen to do with a release's file.
func useText(use proc.Use) string {
	form := map[string]string{
		"exe": "it executes %s", "cwd": "its working directory is %s", "root": "its root directory is %s", "map": "it has %s mapped",
	}[use.How]
	if form == "" {
		form = "it has %s open"
	}
	return fmt.Sprintf(form, pathOf(use))
}
