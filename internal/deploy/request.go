package deploy

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/release"
)

// The commands that a request can ask for. Each is a run but recover, which ends the run that
// crashed, and queue, which makes a run of what waits.
const (
	Activate = "activate"
	Rollback = "rollback"
	Stage    = "stage"
	Start    = "start"
	Stop     = "stop"
	Restart  = "restart"
	Graceful = "graceful"
	Recover  = "recover"
	Queue    = "queue" // does what waits in the queue, one request after the other
)

// Request asks for a run. It travels to the worker as JSON on its command line, so that a full disk cannot keep it away.
type Request struct {
	Key           string        `json:"key"`     // tells this request from every other; the run carries it
	Command       string        `json:"command"` // one of the constants above
	Tag           string        `json:"tag,omitempty"`
	Service       string        `json:"service,omitempty"` // of start, stop, restart, graceful: one service only
	Force         bool          `json:"force,omitempty"`
	Wait          time.Duration `json:"wait,omitempty"`           // how long to wait for the lock, ns
	ConfirmWithin time.Duration `json:"confirm_within,omitempty"` // ns; 0 keeps the release at once
	By            string        `json:"by"`

	// Of a request that came by a push, and waits in the queue:
	Ref     string `json:"ref,omitempty"`     // that was pushed, as refs/tags/v1.4
	Object  string `json:"object,omitempty"`  // what the ref was accepted as: the run is refused if it names another one by then
	After   int    `json:"after,omitempty"`   // the last run there was: the request's own has a higher number
	Dropped string `json:"dropped,omitempty"` // who has taken it out of the queue again
}

// NewRequest makes a request with a key of its own.
func NewRequest(command, tag string) Request {
	return Request{Key: rand.Text(), Command: command, Tag: tag, By: Who(os.Getenv)}
}

// Who names the person behind this process: $REL_USER where a forced command or a CI job sets it, else the user that sudo was
// called by, else the user itself.
func Who(getenv func(string) string) string {
	for _, name := range []string{"REL_USER", "SUDO_USER"} {
		if v := getenv(name); v != "" {
			return v
		}
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return fmt.Sprint(os.Getuid())
}

// maxName is what of a name that a push option gives is kept, in bytes.
const maxName = 64

// Pusher names the person behind a push: $REL_USER and what a web server knows ($REMOTE_USER) come first; a push option "user=NAME"
// is what whoever pushed says, so the account it was pushed through stands beside it.
func Pusher(getenv func(string) string, options []string) string {
	for _, name := range []string{"REL_USER", "REMOTE_USER"} {
		if v := getenv(name); v != "" {
			return v
		}
	}
	account := Who(getenv)
	for _, option := range options {
		if name, ok := strings.CutPrefix(option, "user="); ok && name != "" {
			return strings.ToValidUTF8(name[:min(len(name), maxName)], "?") + " (" + account + ")"
		}
	}
	return account
}

// ParseRequest reads a request from a worker's command line.
func ParseRequest(text string) (Request, error) {
	var req Request
	if err := json.Unmarshal([]byte(text), &req); err != nil {
		return req, release.Errorf(release.ExitUsage, "request: %w", err)
	}
	return req, nil
}

func (req Request) String() string {
	text, _ := json.Marshal(req) // of plain fields: cannot go wrong
	return string(text)
}

// deploys says whether the request is to put a release live.
func (req Request) deploys() bool { return req.Command == Activate || req.Command == Rollback }

// supersedes says whether a request takes the place of one that waits before it: what goes live next, or what is made ready of
// the same ref.
func (req Request) supersedes(other Request) bool {
	return req.Command == other.Command && (req.Command == Activate || req.Ref == other.Ref)
}
