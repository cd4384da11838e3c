package gitrepo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// auditPrefix is where the repository keeps a copy of the history of each root that deploys from it, so that a fetch brings it
// elsewhere: a commit for each finished run, oldest first, with the run as JSON in the one file of its tree.
const (
	auditPrefix = "refs/rel/history/"
	auditFile   = "run.json"
)

// Audit reads the copy of app's history from its newest run on and calls fn with each run until fn returns false. A copy that is
// not there has no runs.
func (r *Repo) Audit(app string, fn func(release.Run) bool) error {
	at, err := r.store.Ref(AuditRef(app))
	if errors.Is(err, objects.ErrNoRef) {
		return nil
	}
	for err == nil && !at.IsZero() {
		var c objects.Commit
		var run release.Run
		if c, err = r.store.Commit(at); err == nil {
			run, err = r.auditedRun(c)
		}
		if err != nil {
			return release.Errorf(release.ExitError, "%s: commit %s: %w", AuditRef(app), at, err).
				Hint("git -C %s show %s shows it", r.Dir, at).
				Hint("git -C %s update-ref -d %s begins anew: the next run copies the whole history", r.Dir, AuditRef(app))
		}
		if !fn(run) || len(c.Parents) == 0 {
			return nil
		}
		at = c.Parents[0]
	}
	return err
}

func (r *Repo) auditedRun(c objects.Commit) (run release.Run, err error) {
	entries, err := r.store.Tree(c.Tree)
	if err != nil {
		return run, err
	}
	for _, e := range entries {
		if e.Name != auditFile {
			continue
		}
		o, err := r.store.Read(e.ID)
		if err == nil {
			err = json.Unmarshal(o.Data, &run)
		}
		return run, err
	}
	return run, fmt.Errorf("%s: not in its tree", auditFile)
}

// Audited are the apps whose history the repository has a copy of, by name.
func (r *Repo) Audited() ([]string, error) {
	refs, err := r.store.Refs(auditPrefix)
	if err != nil {
		return nil, err
	}
	var apps []string
	for _, ref := range refs {
		if app, err := url.PathUnescape(strings.TrimPrefix(ref.Name, auditPrefix)); err == nil && AuditRef(app) == ref.Name {
			apps = append(apps, app)
		}
	}
	return apps, nil
}

// AppendAudit adds finished runs, oldest first, to the copy of app's history, which the root of the given id writes and no other. It
// does so by one run of git, whose writes are synced: all of the runs are added, or none.
func (r *Repo) AppendAudit(ctx context.Context, app, root string, runs []release.Run) error {
	if len(runs) == 0 {
		return nil
	}
	ref := AuditRef(app)
	tip, err := r.store.Ref(ref)
	if err == nil {
		err = r.tipBy(app, tip, root)
	}
	if err != nil && !errors.Is(err, objects.ErrNoRef) {
		return err
	}
	var stream strings.Builder
	for i, run := range runs {
		data, err := json.MarshalIndent(run, "", "  ")
		if err != nil {
			return fmt.Errorf("run %d: %w", run.Run, err)
		}
		who, when := auditor(run.By), run.Started.Add(time.Duration(run.Seconds*float64(time.Second))).Unix()
		fmt.Fprintf(&stream, "commit %s\nauthor %s %d +0000\ncommitter rel <rel@localhost> %d +0000\n", ref, who, when, when)
		message := auditMessage(run) + rootTrailer + root
		fmt.Fprintf(&stream, "data %d\n%s\n", len(message), message)
		if i == 0 && !tip.IsZero() {
			fmt.Fprintf(&stream, "from %s\n", tip)
		}
		fmt.Fprintf(&stream, "M 100644 inline %s\ndata %d\n%s\n\n", auditFile, len(data)+1, data)
	}
	stream.WriteString("done\n")
	_, err = r.git(ctx, call{stdin: stream.String()}, "fast-import", "--quiet", "--done", "--date-format=raw")
	return errors.Join(err, r.dropCrashReport(err))
}

// rootTrailer comes before the id of the root in a run's message.
const rootTrailer = "\n\nRoot: "

// AuditedBy is an error where the copy of app's history is another root's.
func (r *Repo) AuditedBy(app, root string) error {
	tip, err := r.store.Ref(AuditRef(app))
	if errors.Is(err, objects.ErrNoRef) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.tipBy(app, tip, root)
}

func (r *Repo) tipBy(app string, tip objects.ID, root string) error {
	c, err := r.store.Commit(tip)
	if err != nil {
		return err
	}
	if !strings.HasSuffix(strings.TrimSpace(c.Message), rootTrailer+root) {
		return release.Errorf(release.ExitError, "%s: another root writes the history of %s", r.Dir, app).
			Hint("app in rel.toml gives a root a name of its own").
			Hint("if this root took the other's place: git -C %s update-ref -d %s begins anew", r.Dir, AuditRef(app))
	}
	return nil
}

var crashReport = regexp.MustCompile(`fast_import_crash_\d+`)

// dropCrashReport removes what git fast-import leaves in the repository when it gives up: the error says it all.
func (r *Repo) dropCrashReport(err error) error {
	failed, ok := errors.AsType[*gitError](err)
	if !ok {
		return nil
	}
	name := crashReport.FindString(failed.text)
	if name == "" {
		return nil
	}
	if err := os.Remove(filepath.Join(r.Dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// auditMessage is what git log shows of a run.
func auditMessage(run release.Run) string {
	text := fmt.Sprintf("run %d: %s", run.Run, run.Command)
	if run.To != "" {
		text += " " + run.To
	}
	if run.From != "" && run.From != run.To {
		text += " (was " + run.From + ")"
	}
	text += ": " + string(run.Outcome)
	if run.Error != "" {
		text += "\n\n" + run.Error
	}
	return text
}

// auditor is who asked for a run as git has people: of an address the part before the at sign is the name.
func auditor(by string) string {
	clean := strings.TrimSpace(strings.Map(func(c rune) rune {
		if c < ' ' || c == '<' || c == '>' || c == 0x7f {
			return -1
		}
		return c
	}, by))
	name, _, _ := strings.Cut(clean, "@")
	return fmt.Sprintf("%s <%s>", cmp.Or(strings.TrimSpace(name), "unknown"), clean)
}

// AuditRef is the ref that has the copy of app's history.
func AuditRef(app string) string { return auditPrefix + escapeRef(app) }

// escapeRef makes one component of a ref's name of any text: what git does not allow there is written as %XX, as in a URL.
func escapeRef(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' && i > 0 ||
			c == '.' && i > 0 && i < len(text)-1 && text[i-1] != '.' && text[i:] != ".lock"
		if plain {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
