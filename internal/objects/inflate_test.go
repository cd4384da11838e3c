package objects

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"io"
	"testing"
)

func deflated(t testing.TB, data []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// inPieces inflates raw deflate data through a window, as a stream of an object does, at most piece bytes at a time.
func inPieces(raw []byte, piece, limit int) ([]byte, error) {
	var z inflater
	z.begin(raw)
	var out []byte
	buf := make([]byte, 2*window+piece)
	n := 0
	for z.state != streamEnd {
		if n == len(buf) {
			n = copy(buf, buf[n-window:])
		}
		end := min(len(buf), n+piece)
		m, err := z.fill(buf[:end], n)
		out = append(out, buf[n:m]...)
		if err != nil {
			return out, err
		}
		if n = m; len(out) > limit {
			return out, errLong
		}
	}
	return out, nil
}

func TestInflate(t *testing.T) {
	inputs := map[string][]byte{
		"empty":  nil,
		"one":    {7},
		"text":   []byte(text(1, 1500)),
		"noise":  noise(1, 80_000),
		"zeros":  make([]byte, 100_000),
		"period": bytes.Repeat([]byte("abc"), 15_000),
		"mixed":  append(noise(2, 40_000), text(2, 500)...),
	}
	for name, data := range inputs {
		for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, 1, 6, 9} {
			raw := deflated(t, data, level)
			var z inflater
			z.begin(raw)
			got := make([]byte, len(data))
			if err := z.finish(got, 0); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%s, level %d: %v", name, level, err)
			}
			for _, piece := range []int{1, 7, 300, 40_000} {
				if got, err := inPieces(raw, piece, len(data)); err != nil || !bytes.Equal(got, data) {
					t.Fatalf("%s, level %d, pieces of %d: %d bytes, %v", name, level, piece, len(got), err)
				}
			}
			z.begin(raw)
			if err := z.finish(make([]byte, len(data)+1), 0); err != errShort {
				t.Fatalf("%s, level %d, one byte too much room: %v", name, level, err)
			}
			if len(data) > 0 {
				z.begin(raw)
				if err := z.finish(make([]byte, len(data)-1), 0); err != errLong {
					t.Fatalf("%s, level %d, one byte too little room: %v", name, level, err)
				}
			}
			for _, cut := range []int{0, 1, len(raw) / 2, len(raw) - 1} {
				z.begin(raw[:cut])
				if err := z.finish(make([]byte, len(data)), 0); err == nil {
					t.Fatalf("%s, level %d: the first %d of %d bytes are taken for the whole", name, level, cut, len(raw))
				}
			}
		}
	}
}

// FuzzInflate compares with compress/flate: both take the same streams and give the same bytes, whatever the pieces.
func FuzzInflate(f *testing.F) {
	for _, data := range [][]byte{nil, []byte("a"), []byte(text(3, 40)), noise(3, 70), make([]byte, 3000)} {
		for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, 1, 9} {
			f.Add(deflated(f, data, level), uint16(5))
		}
	}
	const limit = 1 << 20
	f.Fuzz(func(t *testing.T, raw []byte, piece uint16) {
		want, wantErr := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(raw)), limit+1))
		if len(want) > limit {
			return
		}
		got, err := inPieces(raw, int(piece)+1, limit)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%v; compress/flate: %v", err, wantErr)
		}
		if err == nil && !bytes.Equal(got, want) {
			t.Fatalf("other bytes than compress/flate")
		}
		var z inflater
		for _, more := range []int{0, slack, 100} {
			z.begin(raw)
			whole := bytes.Repeat([]byte{0xa5}, len(want)+more)
			err = z.finish(whole[:len(want)], 0)
			if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(whole[:len(want)], want) {
				t.Fatalf("at once: %v; compress/flate: %v", err, wantErr)
			}
			if rest := whole[min(len(want)+slack, len(whole)):]; len(bytes.Trim(rest, "\xa5")) > 0 {
				t.Fatal("written further than slack behind the end")
			}
		}
	})
}

func BenchmarkInflate(b *testing.B) {
	data := []byte(text(1, 300))
	var buf bytes.Buffer
	w := zlib.NewWriter(&buf)
	if _, err := w.Write(data); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, len(data))
	b.Run("own", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		z := new(inflater)
		for b.Loop() {
			if err := z.exactly(dst, buf.Bytes()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("compress", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			r, err := zlib.NewReader(bytes.NewReader(buf.Bytes()))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(r, dst); err != nil {
				b.Fatal(err)
			}
		}
	})
}
