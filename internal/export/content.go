package export

import (
	"context"
	"errors"
	"io"

	"github.com/git-rel/rel/internal/objects"
)

// fill writes a file's content, which it may hold in buf, and returns the id of what it wrote.
func (w *writer) fill(ctx context.Context, out io.Writer, buf []byte, i int) (objects.ID, error) {
	f := &w.plan.files[i]
	if f.content != nil {
		return w.plan.copyContent(ctx, out, f)
	}
	if f.size > streamOver {
		if f.conv.none() {
			return f.id, w.stream(ctx, out, f)
		}
		w.large.Lock()
		defer w.large.Unlock()
	}
	data, err := w.converted(ctx, f, buf)
	if err != nil {
		return f.id, err
	}
	if f.conv.subst {
		data = w.subst[f.in.number].apply(i, data)
	}
	id := f.id
	if !f.conv.none() {
		id = objects.Hash(f.in.Store.Format(), objects.KindBlob, data)
	} else if !f.pointer && w.plan.src.LFS != LFSPointer && looksLikePointer(data) {
		return f.id, w.plan.refusePointer(f)
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
	data := o.Data
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
