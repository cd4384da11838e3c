package export

import (
	"context"
	"errors"
	"io"

	"github.com/git-rel/rel/internal/objects"
)

// apart tells whether a file is read by itself: what is large, or not in the repository.
func (f *file) apart() bool { return f.content != nil || f.size > streamOver }

// mostTogether bounds how many files are read as one batch, for the memory that it takes to know what is made of what.
const mostTogether = 8 << 10

// writeFiles writes the files of one repository after those of another.
func (w *writer) writeFiles(ctx context.Context) error {
	for rest := w.plan.order; len(rest) > 0; {
		of, n := w.plan.files[rest[0]].in, 1
		for n < min(len(rest), mostTogether) && w.plan.files[rest[n]].in == of {
			n++
		}
		if err := w.writePart(ctx, of, rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// writePart writes files of one repository, in pack order: first those that are read by themselves, then those whose blobs are read
// in families. Files with the same blob come together.
func (w *writer) writePart(ctx context.Context, of *part, order []int) error {
	var apart, together []int
	var wanted []objects.Wanted
	var begin []int // where in together the files of each of wanted begin
	for _, i := range order {
		f := &w.plan.files[i]
		if f.apart() {
			apart = append(apart, i)
			continue
		}
		if len(wanted) == 0 || wanted[len(wanted)-1].ID != f.id {
			wanted = append(wanted, objects.Wanted{ID: f.id, Pack: f.pack, Offset: f.offset})
			begin = append(begin, len(together))
		}
		together = append(together, i)
	}
	begin = append(begin, len(together))
	batch, err := of.Store.Batch(wanted)
	if err != nil {
		return err
	}
	return parallel(ctx, len(w.dirs), len(apart)+batch.Families(), func(worker, n int) error {
		dirs := w.dirs[worker]
		if n < len(apart) {
			return w.writeFile(ctx, dirs, apart[n], nil)
		}
		return batch.Read(n-len(apart), dirs.read, func(n int, o objects.Object, err error) error {
			files := together[begin[n]:begin[n+1]]
			if err != nil {
				return in(w.plan.files[files[0]].path, err)
			}
			for _, i := range files {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := w.writeFile(ctx, dirs, i, o.Data); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// fill writes a file's content and returns the id of what it wrote. data is its blob, unless the file is one to be read by itself.
func (w *writer) fill(ctx context.Context, out io.Writer, i int, data []byte) (id objects.ID, err error) {
	f := &w.plan.files[i]
	id = f.id
	switch {
	case f.content != nil:
		return w.plan.copyContent(ctx, out, f)
	case f.apart() && f.conv.none():
		return id, w.stream(ctx, out, f)
	case f.apart():
		w.large.Lock()
		defer w.large.Unlock()
		data, err = w.converted(ctx, f, nil)
	default:
		data, err = f.convert(ctx, data)
	}
	if err != nil {
		return id, err
	}
	if f.conv.subst {
		data = w.subst[f.in.number].apply(i, data)
	}
	if !f.conv.none() {
		id = objects.Hash(f.in.Store.Format(), objects.KindBlob, data)
	} else if !f.pointer && w.plan.src.LFS != LFSPointer && looksLikePointer(data) {
		return id, w.plan.refusePointer(f)
	}
	_, err = out.Write(data)
	return id, err
}

// converted is a file's content as git's checkout would write it. It may be in buf.
func (w *writer) converted(ctx context.Context, f *file, buf []byte) ([]byte, error) {
	o, err := f.in.Store.ReadInto(f.id, buf)
	if err != nil {
		return nil, err
	}
	return f.convert(ctx, o.Data)
}

// convert makes of a file's blob what git's checkout would write.
func (f *file) convert(ctx context.Context, data []byte) (_ []byte, err error) {
	if f.conv.ident {
		data = expandIdent(data, f.id)
	}
	data = expandEOL(data, f.conv.eol)
	if f.conv.encoding == "" {
		return data, nil
	}
	data, _, err = encode(ctx, data, f.conv.encoding)
	return data, err
}

func (w *writer) stream(ctx context.Context, out io.Writer, f *file) (err error) {
	r, _, err := f.in.Store.Stream(f.id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return pump(ctx, out, r)
}

// pump copies r to out piece by piece, until it ends or ctx does.
func pump(ctx context.Context, out io.Writer, r io.Reader) error {
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(buf)
		if _, err := out.Write(buf[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
