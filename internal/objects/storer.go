package objects

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	gitindex "github.com/go-git/go-git/v5/plumbing/format/index"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage"

	"github.com/git-rel/rel/internal/release"
)

// errReadOnly is what every writing method of a Storer returns.
var errReadOnly = errors.New("the repository is open for reading only")

// Storer is a Store as go-git reads it. It writes nothing; go-git's configuration, index and modules are empty. The commits that a
// shallow repository ends at are shown without parents, as git shows them. It may be used concurrently.
type Storer struct {
	s       *Store
	shallow map[ID]bool
}

// Storer makes go-git's view of a SHA-1 repository; go-git cannot read others.
func (s *Store) Storer() (storage.Storer, error) {
	if s.config.format != SHA1 {
		return nil, release.Errorf(release.ExitError, "%s: its objects are named by %s, which go-git does not read", s.gitDir, s.config.format)
	}
	ids, err := s.Shallow()
	if err != nil {
		return nil, err
	}
	st := &Storer{s: s, shallow: map[ID]bool{}}
	for _, id := range ids {
		st.shallow[id] = true
	}
	return st, nil
}

// EncodedObject reads an object. A missing one gives an error that is plumbing.ErrObjectNotFound by errors.Is and has the store's
// hints; one of another kind gives plumbing.ErrObjectNotFound itself.
func (st *Storer) EncodedObject(want plumbing.ObjectType, h plumbing.Hash) (plumbing.EncodedObject, error) {
	id := idFrom(h[:])
	kind, size, err := st.s.Header(id)
	if err != nil {
		return nil, notFound(err)
	}
	if want != plumbing.AnyObject && plumbing.ObjectType(kind) != want {
		return nil, plumbing.ErrObjectNotFound
	}
	o := &encodedObject{st: st, id: id, kind: kind, size: size}
	if kind == KindBlob {
		return o, nil // read when its reader is asked for: diffs often look at ids only
	}
	read, err := st.s.Read(id)
	if err != nil {
		return nil, notFound(err)
	}
	o.data = read.Data
	if st.shallow[id] {
		o.data = withoutParents(o.data)
	}
	o.size = int64(len(o.data))
	return o, nil
}

// notFound makes an ErrMissing recognisable to go-git.
func notFound(err error) error {
	if errors.Is(err, ErrMissing) {
		return fmt.Errorf("%w (%w)", err, plumbing.ErrObjectNotFound)
	}
	return err
}

// withoutParents is a commit without its parent lines.
func withoutParents(data []byte) []byte {
	head, message, _ := bytes.Cut(data, []byte("\n\n"))
	var out []byte
	for line := range bytes.SplitSeq(head, []byte("\n")) {
		if !bytes.HasPrefix(line, []byte("parent ")) {
			out = append(append(out, line...), '\n')
		}
	}
	return append(append(out, '\n'), message...)
}

// encodedObject is an object for go-git.
type encodedObject struct {
	st   *Storer
	id   ID
	kind Kind
	size int64
	data []byte // nil for a blob
}

func (o *encodedObject) Hash() plumbing.Hash             { return plumbing.Hash(o.id.sum[:20]) }
func (o *encodedObject) Type() plumbing.ObjectType       { return plumbing.ObjectType(o.kind) }
func (o *encodedObject) Size() int64                     { return o.size }
func (o *encodedObject) SetType(plumbing.ObjectType)     {}
func (o *encodedObject) SetSize(int64)                   {}
func (o *encodedObject) Writer() (io.WriteCloser, error) { return nil, errReadOnly }

func (o *encodedObject) Reader() (io.ReadCloser, error) {
	if o.kind != KindBlob {
		return io.NopCloser(bytes.NewReader(o.data)), nil
	}
	r, _, err := o.st.s.Stream(o.id)
	return r, err
}

// HasEncodedObject is nil where the object is there.
func (st *Storer) HasEncodedObject(h plumbing.Hash) error {
	_, _, err := st.s.Header(idFrom(h[:]))
	if errors.Is(err, ErrMissing) {
		return plumbing.ErrObjectNotFound
	}
	return err
}

// EncodedObjectSize is an object's size in bytes.
func (st *Storer) EncodedObjectSize(h plumbing.Hash) (int64, error) {
	_, size, err := st.s.Header(idFrom(h[:]))
	return size, notFound(err)
}

// IterEncodedObjects is not offered: nothing here has to see every object.
func (st *Storer) IterEncodedObjects(plumbing.ObjectType) (storer.EncodedObjectIter, error) {
	return nil, fmt.Errorf("a list of all objects: %w", errors.ErrUnsupported)
}

// NewEncodedObject is in memory only.
func (st *Storer) NewEncodedObject() plumbing.EncodedObject { return &plumbing.MemoryObject{} }

// SetEncodedObject is refused.
func (st *Storer) SetEncodedObject(plumbing.EncodedObject) (plumbing.Hash, error) {
	return plumbing.ZeroHash, errReadOnly
}

// AddAlternate is refused.
func (st *Storer) AddAlternate(string) error { return errReadOnly }

// Reference reads one ref; a symbolic one is not followed.
func (st *Storer) Reference(name plumbing.ReferenceName) (*plumbing.Reference, error) {
	target, err := st.s.SymbolicTarget(string(name))
	if err == nil && target != "" {
		return plumbing.NewSymbolicReference(name, plumbing.ReferenceName(target)), nil
	}
	if err != nil && !errors.Is(err, ErrNoRef) {
		return nil, err
	}
	id, err := st.s.Ref(string(name))
	if errors.Is(err, ErrNoRef) {
		return nil, plumbing.ErrReferenceNotFound // go-git compares it with ==
	}
	if err != nil {
		return nil, err
	}
	return plumbing.NewHashReference(name, plumbing.Hash(id.sum[:20])), nil
}

// IterReferences lists all refs and HEAD.
func (st *Storer) IterReferences() (storer.ReferenceIter, error) {
	refs, err := st.s.Refs("refs/")
	if err != nil {
		return nil, err
	}
	var list []*plumbing.Reference
	if head, err := st.Reference(plumbing.HEAD); err == nil {
		list = append(list, head)
	}
	for _, r := range refs {
		list = append(list, plumbing.NewHashReference(plumbing.ReferenceName(r.Name), plumbing.Hash(r.ID.sum[:20])))
	}
	return storer.NewReferenceSliceIter(list), nil
}

// CountLooseRefs is 0: packing refs is not this Storer's business.
func (st *Storer) CountLooseRefs() (int, error) { return 0, nil }

// SetReference is refused, as the following are.
func (st *Storer) SetReference(*plumbing.Reference) error { return errReadOnly }

// CheckAndSetReference is refused.
func (st *Storer) CheckAndSetReference(_, _ *plumbing.Reference) error { return errReadOnly }

// RemoveReference is refused.
func (st *Storer) RemoveReference(plumbing.ReferenceName) error { return errReadOnly }

// PackRefs is refused.
func (st *Storer) PackRefs() error { return errReadOnly }

// Shallow lists the commits that a shallow repository ends at.
func (st *Storer) Shallow() ([]plumbing.Hash, error) {
	var list []plumbing.Hash
	for id := range st.shallow {
		list = append(list, plumbing.Hash(id.sum[:20]))
	}
	return list, nil
}

// SetShallow is refused.
func (st *Storer) SetShallow([]plumbing.Hash) error { return errReadOnly }

// Index is empty.
func (st *Storer) Index() (*gitindex.Index, error) { return &gitindex.Index{Version: 2}, nil }

// SetIndex is refused.
func (st *Storer) SetIndex(*gitindex.Index) error { return errReadOnly }

// Config is that of a bare repository without any setting.
func (st *Storer) Config() (*config.Config, error) {
	c := config.NewConfig()
	c.Core.IsBare = true
	return c, nil
}

// SetConfig is refused.
func (st *Storer) SetConfig(*config.Config) error { return errReadOnly }

// Module is not there: submodules are not read through go-git.
func (st *Storer) Module(name string) (storage.Storer, error) {
	return nil, fmt.Errorf("submodule %q: %w", name, errors.ErrUnsupported)
}
