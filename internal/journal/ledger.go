package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

const (
	ledgerName   = "ledger"
	ledgerFormat = 1

	// stackMax bounds how far back bare rollbacks can go.
	stackMax = 64
)

// Ledger is what the history adds up to: which releases rollback goes back to, and what became of each tag. It is always
// derived from the history; .rel/ledger is only a checkpoint, so that not all of the history need be read.
type Ledger struct {
	Format int                 `json:"format"`
	Run    int                 `json:"run"`    // the last run that is added up
	Offset int64               `json:"offset"` // of the end of the last line of the history that is added up
	Line   int                 `json:"line"`   // the run of that line: tells whether Offset is of this history
	Stack  []Item              `json:"stack"`  // the last is the live release
	Tags   map[string]TagState `json:"tags"`

	gap bool // a run may have been left out: the history knows better
}

// Item is a release that is or was live.
type Item struct {
	Tag    string     `json:"tag"` // empty for an adopted release
	Commit string     `json:"commit"`
	ID     release.ID `json:"id"`
}

// TagState is what became of a tag.
type TagState struct {
	Commit  string     `json:"commit"`       // what the tag named when it was last staged or activated
	ID      release.ID `json:"id,omitempty"` // its last release
	WasLive bool       `json:"was_live,omitempty"`
	Left    bool       `json:"left,omitempty"`   // by a rollback: chosen by name only, until it is live again
	Failed  bool       `json:"failed,omitempty"` // likewise
	Staged  bool       `json:"staged,omitempty"`
	Signer  string     `json:"signer,omitempty"`  // as a run verified it last
	Refused bool       `json:"refused,omitempty"` // by a gate, when it was on disk already
	Checked string     `json:"checked,omitempty"` // digest of the gates that ID has passed
	Run     int        `json:"run"`               // the last that changed this state
}

// LoadLedger is the ledger of the .rel directory dir: the checkpoint, and the finished runs that came after it. Without a
// checkpoint, or with one that does not belong to this history, it is derived from the whole history.
func LoadLedger(dir string) (Ledger, error) {
	l, err := readCheckpoint(dir)
	if err != nil {
		return Ledger{}, err
	}
	_, err = Each(dir, l.Offset, func(run release.Run, end int64) error {
		if end > l.Offset {
			l.Offset, l.Line = end, run.Run
		}
		l.apply(run)
		return nil
	})
	if err != nil {
		return Ledger{}, err
	}
	return l, nil
}

// SaveLedger writes l as the checkpoint, with its checksum, in the .rel directory dir. It takes space and an inode: an error is no
// more than a warning, since the next LoadLedger does without. An l that a run was left out of is not written: the checkpoint
// before it stays, and is as good.
func SaveLedger(dir string, l Ledger) error {
	if l.gap {
		return nil
	}
	l.Format = ledgerFormat
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return disk.WriteFile(filepath.Join(dir, ledgerName), sealCheckpoint(data), 0o644)
}

// sealCheckpoint is a checkpoint's file: a line of JSON and a line with that line's SHA-256.
func sealCheckpoint(data []byte) []byte {
	return fmt.Appendf(nil, "%s\n%x\n", data, sha256.Sum256(data))
}

func newLedger() Ledger {
	return Ledger{Format: ledgerFormat, Tags: map[string]TagState{}}
}

// readCheckpoint is the checkpoint in the .rel directory dir, or an empty ledger where it is missing, damaged, of a later
// format or not of the history that is there.
func readCheckpoint(dir string) (Ledger, error) {
	data, err := os.ReadFile(filepath.Join(dir, ledgerName))
	if errors.Is(err, fs.ErrNotExist) {
		return newLedger(), nil
	}
	if err != nil {
		return Ledger{}, err
	}
	var l Ledger
	line, _, _ := bytes.Cut(data, []byte{'\n'})
	if !bytes.Equal(data, sealCheckpoint(line)) || json.Unmarshal(line, &l) != nil || l.Format != ledgerFormat || l.Offset < 0 || l.Tags == nil {
		return newLedger(), nil
	}
	belongs, err := l.belongs(dir)
	if err != nil {
		return Ledger{}, fmt.Errorf("%s: %w", filepath.Join(dir, historyName), err)
	}
	if !belongs {
		return newLedger(), nil
	}
	return l, nil
}

// belongs is whether the history in dir has the line that l was made after, and all the runs that l adds up.
func (l *Ledger) belongs(dir string) (bool, error) {
	f, size, err := openLines(dir)
	if err != nil {
		return false, err
	}
	last := 0
	if f != nil {
		defer f.Close()
		if last, err = lastRun(f, size); err != nil {
			return false, err
		}
	}
	if l.Run > last {
		// Then it must be in the journal still.
		runs, err := unwritten(dir, last)
		if err != nil || len(runs) == 0 || runs[len(runs)-1].Run < l.Run {
			return false, err
		}
	}
	if l.Offset == 0 || f == nil {
		return l.Offset == 0 && l.Line == 0, nil
	}
	if l.Offset > size {
		return false, nil
	}
	newline := make([]byte, 1)
	if _, err := f.ReadAt(newline, l.Offset-1); err != nil {
		return false, err
	}
	line, err := lastRun(f, l.Offset)
	return newline[0] == '\n' && line == l.Line, err
}
