package objects

import "errors"

var (
	errDelta     = errors.New("its delta is damaged")
	errDeltaBase = errors.New("its delta is for a base of another size")
	errDeltaSize = errors.New("its delta makes an object of another size than it says")
)

// deltaSizes reads the head of a delta: the sizes of base and result, and what follows.
func deltaSizes(delta []byte) (base, result int64, rest []byte, err error) {
	base, delta, err = varint(delta)
	if err != nil {
		return 0, 0, nil, err
	}
	result, delta, err = varint(delta)
	return base, result, delta, err
}

// deltaFor reads the head of a delta for base: the size of what it makes, and its instructions.
func deltaFor(base, delta []byte) (size int64, ops []byte, err error) {
	from, size, ops, err := deltaSizes(delta)
	switch {
	case err != nil:
		return 0, nil, err
	case from != int64(len(base)):
		return 0, nil, errDeltaBase
	case size > int64(len(ops))<<24: // an instruction takes a byte at least and makes at most 2^24-1
		return 0, nil, errDeltaSize
	}
	return size, ops, nil
}

// varint reads 7 bits a byte, the lowest first.
func varint(p []byte) (int64, []byte, error) {
	var v uint64
	for i := 0; i < len(p) && i < 9; i++ {
		v |= uint64(p[i]&0x7f) << (7 * i)
		if p[i]&0x80 == 0 {
			return int64(v), p[i+1:], nil
		}
	}
	return 0, nil, errDelta
}

// applyDelta fills dst, which has the delta's result size, from base and the delta's instructions.
func applyDelta(dst, base, ops []byte) error {
	n := 0
	for len(ops) > 0 {
		op := ops[0]
		ops = ops[1:]
		if op&0x80 == 0 {
			size := int(op)
			if size == 0 || size > len(ops) {
				return errDelta
			}
			if size > len(dst)-n {
				return errDeltaSize
			}
			n += copy(dst[n:], ops[:size])
			ops = ops[size:]
			continue
		}
		from, size, rest, ok := copyOp(op, ops)
		if !ok || from+size > len(base) {
			return errDelta
		}
		if size > len(dst)-n {
			return errDeltaSize
		}
		n += copy(dst[n:], base[from:from+size])
		ops = rest
	}
	if n != len(dst) {
		return errDeltaSize
	}
	return nil
}

// copyOp reads the operands of a copy: up to four bytes of offset and three of size, those that op has a bit for.
func copyOp(op byte, ops []byte) (from, size int, rest []byte, ok bool) {
	for i := range 7 {
		if op&(1<<i) == 0 {
			continue
		}
		if len(ops) == 0 {
			return 0, 0, nil, false
		}
		if i < 4 {
			from |= int(ops[0]) << (8 * i)
		} else {
			size |= int(ops[0]) << (8 * (i - 4))
		}
		ops = ops[1:]
	}
	if size == 0 {
		size = 0x10000
	}
	return from, size, ops, true
}
