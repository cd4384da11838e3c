// Package queue is where requests wait for their turn: one file for each in .rel/queue, whole and synced before its writer says
// that it is accepted, named by the number that is its place and by the request's key. What a request says is not its business.
package queue

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/disk"
)

// dirName is the queue's directory, in .rel.
const dirName = "queue"

// maxSize is what a request may have, in bytes: no honest one comes near it.
const maxSize = 64 << 10

// Names in the queue's directory that are not of requests begin with a dot: what is being written (".tmp-…"), the highest number
// that was given (".last-N"), what was set aside (".bad-…"), what may become a request (tentative.go).
const (
	lastPrefix = ".last-"
	badPrefix  = ".bad-"
)

var itemName = regexp.MustCompile(`^([0-9]{20})-([A-Za-z0-9]{1,64})$`)

// Item is a request that waits.
type Item struct {
	Number int       // its place: the order of requests, never used again
	Key    string    // letters and digits
	Data   []byte    // what the writer wrote
	When   time.Time // it was written
}

// Name is the name of the request's file.
func (i Item) Name() string { return fmt.Sprintf("%020d-%s", i.Number, i.Key) }

// Bad is an entry that is no request: torn, damaged, or somebody else's.
type Bad struct {
	Name string
	Err  error
}

// Queue is the queue, open, and locked against everybody else: it is held for moments only.
type Queue struct{ dir *disk.Dir }

// Open opens the queue of a root whose state directory is given, making it where it is missing, and locks it.
func Open(state string) (*Queue, error) {
	top, err := disk.OpenDir(state)
	if err != nil {
		return nil, err
	}
	dir, err := top.MkdirAll(dirName, 0o700)
	if err = errors.Join(err, top.Close()); err != nil {
		return nil, err
	}
	if err := lock(dir.File()); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: flock: %w", dir.Path(""), err), dir.Close())
	}
	return &Queue{dir: dir}, nil
}

func lock(f *os.File) error {
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Close unlocks the queue.
func (q *Queue) Close() error { return q.dir.Close() }

// Put adds a request at the end. When it returns without an error the request is on the disk.
func (q *Queue) Put(key string, data []byte) (Item, error) {
	names, err := q.dir.Names()
	if err != nil {
		return Item{}, err
	}
	item := Item{Number: 1, Key: key, Data: data, When: time.Now()}
	for _, name := range names {
		item.Number = max(item.Number, numberOf(name)+1)
		if strings.HasPrefix(name, ".tmp-") { // of a writer that was killed: nobody else writes now
			err = errors.Join(err, q.dir.Remove(name))
		}
	}
	if err != nil {
		return Item{}, err
	}
	if !itemName.MatchString(item.Name()) {
		return Item{}, fmt.Errorf("%q: %w: not the key of a request", key, os.ErrInvalid)
	}
	return item, q.write(item.Name(), item.Data)
}

// Replace writes other data for a request that is there.
func (q *Queue) Replace(item Item, data []byte) error {
	if _, err := q.dir.Lstat(item.Name()); err != nil {
		return err
	}
	return q.write(item.Name(), data)
}

func (q *Queue) write(name string, data []byte) error {
	if len(data) > maxSize {
		return fmt.Errorf("%s: %d bytes, and %d are allowed", q.dir.Path(name), len(data), maxSize)
	}
	return q.dir.WriteFile(name, sealed(data), 0o600)
}

// sealed is a request's file: the data and a line with their SHA-256.
func sealed(data []byte) []byte {
	return fmt.Appendf(nil, "%s\n%x\n", data, sha256.Sum256(data))
}

// numberOf is the number in a name, 0 where there is none.
func numberOf(name string) int {
	digits := strings.TrimPrefix(name, lastPrefix)
	if m := itemName.FindStringSubmatch(name); m != nil {
		digits = m[1]
	}
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}

// Remove takes a request out. It syncs nothing: one that a crash brings back is known by its key to be done.
func (q *Queue) Remove(item Item) error {
	last := lastPrefix + strconv.Itoa(item.Number)
	if err := q.dir.Rename(item.Name(), q.dir, last); err != nil {
		return err
	}
	names, err := q.dir.Names()
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, lastPrefix) })
	slices.SortFunc(names, func(a, b string) int { return numberOf(a) - numberOf(b) })
	for _, name := range names[:max(len(names)-1, 0)] { // the highest stays, so that no number is used again
		err = errors.Join(err, q.dir.Remove(name))
	}
	return err
}

// SetAside takes an entry that is no request out of the way, and keeps it for a person to look at.
func (q *Queue) SetAside(name string) error {
	return errors.Join(q.dir.Rename(name, q.dir, badPrefix+name[:min(len(name), 200)]), q.dir.Sync())
}

// List is what waits, in order, and what is in the way.
func (q *Queue) List() ([]Item, []Bad, error) { return list(q.dir) }

// List is what waits in the queue of a root whose state directory is given, in order, for those who only look; nothing where
// there is no queue.
func List(state string) ([]Item, []Bad, error) {
	dir, err := disk.OpenDir(filepath.Join(state, dirName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	items, bad, err := list(dir)
	return items, bad, errors.Join(err, dir.Close())
}

// Aside are the paths of what was set aside, for those who only look.
func Aside(state string) (paths []string, err error) {
	entries, err := os.ReadDir(filepath.Join(state, dirName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), badPrefix) {
			paths = append(paths, filepath.Join(state, dirName, e.Name()))
		}
	}
	return paths, err
}

// Waits says whether a request is in the queue still.
func Waits(state string, item Item) bool {
	_, err := os.Lstat(filepath.Join(state, dirName, item.Name()))
	return err == nil
}

func list(dir *disk.Dir) (items []Item, bad []Bad, err error) {
	names, err := dir.Names()
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(names)
	for _, name := range names {
		if strings.HasPrefix(name, ".") {
			continue
		}
		item, err := readItem(dir, name)
		switch {
		case errors.Is(err, os.ErrNotExist): // taken out meanwhile
		case err != nil:
			bad = append(bad, Bad{name, err})
		default:
			items = append(items, item)
		}
	}
	return items, bad, nil
}

var errDamaged = errors.New("it is not as it was written")

func readItem(dir *disk.Dir, name string) (item Item, err error) {
	m := itemName.FindStringSubmatch(name)
	if m == nil {
		return item, errors.New("not the name of a request")
	}
	if item.Number, err = strconv.Atoi(m[1]); err != nil {
		return item, err
	}
	item.Key = m[2]
	item.Data, item.When, err = read(dir, name)
	return item, err
}

// read is what was written to a file, and when.
func read(dir *disk.Dir, name string) (data []byte, when time.Time, err error) {
	f, err := disk.Beneath(dir.File(), name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, when, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, when, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSize+100 {
		return nil, when, errDamaged
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, when, err
	}
	i := bytes.LastIndexByte(bytes.TrimSuffix(text, []byte{'\n'}), '\n')
	if i < 0 || !bytes.Equal(text, sealed(text[:i])) {
		return nil, when, errDamaged
	}
	return text[:i], info.ModTime(), nil
}
