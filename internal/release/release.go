// Package release holds the nouns of rel: tags, releases, runs, steps, outcomes and the errors an operator reads. It is
// pure: it touches no file, no process and no clock.
package release

import (
	"strings"
	"time"
)

// Tag is a git tag that names a version.
type Tag struct {
	Name      string    // without refs/tags/
	Object    string    // the tag object's id when annotated, else the commit's
	Commit    string    // the commit that the tag peels to
	Tree      string    // that commit's tree; empty where only refs were read
	Annotated bool      //
	When      time.Time // the tagger's time when annotated, else the committer's
	Subject   string    // first line of the tag's message, else of the commit's
}

// JournalLog begins an error_log that is no file, but what journald keeps of a unit: "journal:shop.service".
const JournalLog = "journal:"

// ID names a release directory: "20261123T020845Z-v1.4", UTC time of its export and a readable form of its tag. It is a name,
// not an encoding: the manifest says which tag it is.
type ID string

const idTime = "20060102T150405Z"

// maxTagInID keeps release directory names far under NAME_MAX, whatever the tag.
const maxTagInID = 120

// NewID makes the id of a release of tag exported at the given time. Bytes outside [A-Za-z0-9._+-] become "_".
func NewID(at time.Time, tag string) ID {
	safe := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._+-", r):
			return r
		}
		return '_'
	}, tag)
	if len(safe) > maxTagInID {
		safe = safe[:maxTagInID]
	}
	return ID(at.UTC().Format(idTime) + "-" + safe)
}

// Time is when the release was exported; ok is false where id does not have the shape of a release id.
func (id ID) Time() (at time.Time, ok bool) {
	stamp, rest, found := strings.Cut(string(id), "-")
	if !found || rest == "" || strings.ContainsAny(string(id), "/\x00") {
		return time.Time{}, false
	}
	at, err := time.Parse(idTime, stamp)
	return at, err == nil
}

// Release is one tag's tree, exported and built. It exists once its manifest does.
type Release struct {
	ID         ID        `json:"id"`
	Tag        string    `json:"tag"`
	Commit     string    `json:"commit"`
	Tree       string    `json:"tree"`
	Created    time.Time `json:"created"`
	Signer     string    `json:"signer,omitempty"`      // of the tag, as verified when it was staged; empty where nothing was
	Recipe     string    `json:"recipe,omitempty"`      // digest of the settings that it was made by; empty where none was noted
	NoPointers bool      `json:"no_pointers,omitempty"` // no file is a Git LFS pointer, so that those that stay need no second look
	Adopted    bool      `json:"adopted,omitempty"`     // made by init --adopt: its Tag is its ID, no commit, never pruned
	Inode      uint64    `json:"inode"`                 // of its directory: what tells it apart at a live path that is a real directory
	Birth      int64     `json:"birth"`                 // its directory's birth time, ns since the epoch; 0 where the file system has none
	Files      int       `json:"files"`                 // number of tagged files
	Bytes      int64     `json:"bytes"`                 // their sizes added up
}

// Kind says where an entry of a release comes from.
type Kind byte

// The kinds of entry. Drift judges the tagged ones only.
const (
	Tagged Kind = 't' // in the tag's tree
	Built  Kind = 'b' // made by the build
	Shared Kind = 's' // a link into shared/
)

// Entry is one file, directory or symlink of a release.
type Entry struct {
	Path  string // slash-separated, relative to the release
	Mode  uint32 // as git has it: 0100644, 0100755, 0120000, and 0040000 for a directory
	Kind  Kind
	Size  int64  // of the content; of a symlink, its target's length
	ID    string // git blob id of the content as it was written (of a symlink, its target); empty for a directory, and for a built file
	Inode uint64 // the stat data that tell without reading whether it is as it was written
	MTime int64  // ns
	CTime int64  // ns
}

// Same tells by stat data alone that a file is still as it was when e was made: now holds its size, inode and times. The
// manifest that e is from was written at the given time, by the clock of the same file system, in ns. A file changed no earlier
// than that could be changed once more with equal times, since that clock moves in ticks: it is never believed. The time to look
// at is ctime, which no program can set.
func (e Entry) Same(now Entry, written int64) bool {
	return e.Inode != 0 && e.CTime < written &&
		e.Inode == now.Inode && e.Size == now.Size && e.MTime == now.MTime && e.CTime == now.CTime
}

// Git's modes of tree entries.
const (
	ModeFile    uint32 = 0o100644
	ModeExec    uint32 = 0o100755
	ModeSymlink uint32 = 0o120000
	ModeDir     uint32 = 0o040000
	ModeGitlink uint32 = 0o160000
)

// Manifest is a release and what is in it.
type Manifest struct {
	Release
	Entries []Entry // sorted by path; a directory before what is in it
	Written int64   // when its file was written, by that file's mtime, ns; 0 where it was not read from one
}
