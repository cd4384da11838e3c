package objects

import "sync"

// readTables reads the codes of a block that brings its own.
func (z *inflater) readTables() error {
	head, err := z.take(14)
	if err != nil {
		return err
	}
	lits, dists, codes := head&31+257, head>>5&31+1, head>>10+4
	if lits > 286 || dists > 30 {
		return errFlate
	}
	var pre [1 << 7]code
	var preLengths [len(codeOrder)]uint8
	for _, symbol := range codeOrder[:codes] {
		n, err := z.take(3)
		if err != nil {
			return err
		}
		preLengths[symbol] = uint8(n)
	}
	if !build(pre[:], nil, 7, preLengths[:], lengthCode) {
		return errFlate
	}
	lengths := z.lengths[:lits+dists]
	if err := z.readLengths(lengths, &pre); err != nil {
		return err
	}
	z.lit, z.far = &z.ownLit, &z.ownFar
	if !build(z.lit.first[:], z.lit.more[:], litBits, lengths[:lits], litCode) ||
		!build(z.far.first[:], z.far.more[:], distBits, lengths[lits:], distCode) {
		return errFlate
	}
	return nil
}

// readLengths reads the lengths of a block's codes, which are run-length coded.
func (z *inflater) readLengths(lengths []uint8, pre *[1 << 7]code) error {
	for i := 0; i < len(lengths); {
		z.refill()
		c := pre[z.hold&(1<<7-1)]
		if c.bits() > z.held {
			return errShort
		}
		if c == 0 {
			return errFlate
		}
		z.drop(c.bits())
		if c.value() < 16 {
			lengths[i] = uint8(c.value())
			i++
			continue
		}
		value, times, extra := uint8(0), 3, uint(2)
		switch c.value() {
		case 16:
			if i == 0 {
				return errFlate
			}
			value = lengths[i-1]
		case 17:
			extra = 3
		case 18:
			times, extra = 11, 7
		}
		more, err := z.take(extra)
		if err != nil {
			return err
		}
		if times += more; times > len(lengths)-i {
			return errFlate
		}
		for ; times > 0; times-- {
			lengths[i] = value
			i++
		}
	}
	return nil
}

// fixedTables are the tables of the code that needs no description.
var fixedTables = sync.OnceValue(func() *fixedCode {
	var lengths [maxLit]uint8
	for i := range lengths {
		switch {
		case i < 144:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		case i < 280:
			lengths[i] = 7
		default:
			lengths[i] = 8
		}
	}
	f := new(fixedCode)
	build(f.lit.first[:], f.lit.more[:], litBits, lengths[:], litCode)
	for i := range maxDist {
		lengths[i] = 5
	}
	build(f.far.first[:], f.far.more[:], distBits, lengths[:maxDist], distCode)
	return f
})

type fixedCode struct {
	lit litTable
	far distTable
}
