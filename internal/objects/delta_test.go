package objects

import (
	"bytes"
	"testing"
)

func TestDelta(t *testing.T) {
	base := []byte("the quick brown fox")
	for _, c := range []struct {
		name  string
		delta []byte
		want  string
		err   error
	}{
		{"cut short", []byte{19, 9, 0x90, 4, 3, 'o', 'w', 'l'}, "", errDeltaSize},
		{"copy, insert, copy", []byte{19, 9, 0x90, 4, 3, 'o', 'w', 'l', 0x91, 3, 2}, "the owl q", nil},
		{"operation 0", []byte{19, 1, 0}, "", errDelta},
		{"copy beyond the base", []byte{19, 9, 0x91, 18, 9}, "", errDelta},
		{"copy without its operands", []byte{19, 9, 0x91, 1}, "", errDelta},
		{"insert without its bytes", []byte{19, 9, 9, 'x'}, "", errDelta},
		{"too much", []byte{19, 1, 2, 'x', 'y'}, "", errDeltaSize},
		{"size without end", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, "", errDelta},
	} {
		_, size, ops, err := deltaSizes(c.delta)
		var got []byte
		if err == nil {
			got = make([]byte, size)
			err = applyDelta(got, base, ops)
		}
		if err != c.err || err == nil && string(got) != c.want {
			t.Errorf("%s: %q, %v; want %q, %v", c.name, got, err, c.want, c.err)
		}
	}
}

// slowDelta is the format's description written down as plainly as can be.
func slowDelta(base, ops []byte) ([]byte, bool) {
	var out []byte
	for len(ops) > 0 {
		op := ops[0]
		ops = ops[1:]
		if op < 0x80 {
			if op == 0 || len(ops) < int(op) {
				return nil, false
			}
			out, ops = append(out, ops[:op]...), ops[op:]
			continue
		}
		var v [7]int
		for i := range v {
			if op>>i&1 == 1 {
				if len(ops) == 0 {
					return nil, false
				}
				v[i], ops = int(ops[0]), ops[1:]
			}
		}
		from, size := v[0]+v[1]*256+v[2]*65536+v[3]*16777216, v[4]+v[5]*256+v[6]*65536
		if size == 0 {
			size = 65536
		}
		if from+size > len(base) || len(out) > 1<<20 {
			return nil, false
		}
		out = append(out, base[from:from+size]...)
	}
	return out, true
}

func FuzzDelta(f *testing.F) {
	f.Add([]byte("the quick brown fox"), []byte{19, 9, 0x90, 4, 3, 'o', 'w', 'l', 0x91, 3, 2})
	f.Add(bytes.Repeat([]byte("ab"), 300), []byte{0xd8, 4, 0xd8, 4, 0x90, 0xff, 0xb1, 1, 0xff, 0, 0x91, 4, 90})
	f.Fuzz(func(t *testing.T, base, delta []byte) {
		_, size, ops, err := deltaSizes(delta)
		if err != nil || size > 1<<20 {
			return
		}
		got := make([]byte, size)
		err = applyDelta(got, base, ops)
		want, ok := slowDelta(base, ops)
		if ok = ok && len(want) == len(got); ok != (err == nil) || ok && !bytes.Equal(got, want) {
			t.Fatalf("%v; as described: %t", err, ok)
		}
	})
}
