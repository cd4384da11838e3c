package queue

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Names of what is not a request yet, and of what was made one. Both are beside the requests, under the same lock.
const (
	tentativePrefix = ".tentative-"
	takenPrefix     = ".taken-"
)

var keyPattern = regexp.MustCompile(`^[A-Za-z0-9]{1,64}$`)

// Tentative is a request to be, which has no place in the queue yet: whether it comes to that is for its writer to say.
type Tentative struct {
	Key   string // letters and digits
	Data  []byte
	When  time.Time // it was written
	Taken bool      // it has become a request, and stays as a mark of that
}

func (t Tentative) name() string {
	if t.Taken {
		return takenPrefix + t.Key
	}
	return tentativePrefix + t.Key
}

// PutTentative writes a tentative request. When it returns without an error that is on the disk.
func (q *Queue) PutTentative(key string, data []byte) error {
	return q.write(tentativePrefix+key, data)
}

// Tentatives are all tentative requests, in no order. One that is damaged is set aside.
func (q *Queue) Tentatives() ([]Tentative, error) {
	names, err := q.dir.Names()
	if err != nil {
		return nil, err
	}
	var all []Tentative
	for _, name := range names {
		t, ok := tentativeNamed(name)
		if !ok {
			continue
		}
		data, when, err := read(q.dir, name)
		switch {
		case err == nil:
			t.Data, t.When = data, when
			all = append(all, t)
		case errors.Is(err, os.ErrNotExist):
			err = nil
		default:
			err = q.SetAside(name)
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

func tentativeNamed(name string) (t Tentative, ok bool) {
	if t.Key, ok = strings.CutPrefix(name, tentativePrefix); !ok {
		t.Key, ok = strings.CutPrefix(name, takenPrefix)
		t.Taken = ok
	}
	return t, ok && keyPattern.MatchString(t.Key)
}

// HasTentative says whether there is one in the queue of a root whose state directory is given, or the mark of one.
func HasTentative(state string) (bool, error) {
	entries, err := os.ReadDir(filepath.Join(state, dirName))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		_, ok := tentativeNamed(e.Name())
		return ok
	}), err
}

// Take marks a tentative request as one that has become a request. It syncs nothing: one that a crash brings back is known by its
// key.
func (q *Queue) Take(t Tentative) error {
	return q.dir.Rename(t.name(), q.dir, takenPrefix+t.Key)
}

// Forget removes a tentative request. It syncs nothing either.
func (q *Queue) Forget(t Tentative) error {
	err := q.dir.Remove(t.name())
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return err
}
