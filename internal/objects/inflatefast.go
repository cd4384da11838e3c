package objects

import "encoding/binary"

// Room that decodeFast leaves: it reads 8 bytes at a time, and writes a match of 258 bytes in steps of 8.
const (
	fastIn  = 8
	fastOut = 258 + 8
)

// decodeFast is decode for as long as neither end is near, without checks on them.
func (z *inflater) decodeFast(dst []byte, n int) (int, error) {
	in, pos, hold, held := z.in, z.pos, z.hold, z.held
	lit, far := z.lit, z.far
	var err error
loop:
	for len(in)-pos >= fastIn && len(dst)-n >= fastOut {
		hold |= binary.LittleEndian.Uint64(in[pos:]) << (held & 63)
		pos += int((63 - held) >> 3)
		held |= 56
		e := lit.first[hold&(1<<litBits-1)]
		if e.isLiteral() {
			// Two of at most litBits bits leave 36, enough to look at a third.
			dst[n] = e.literal()
			n++
			hold >>= e.bits() & 63
			held -= e.bits()
			if e = lit.first[hold&(1<<litBits-1)]; e.isLiteral() {
				dst[n] = e.literal()
				n++
				hold >>= e.bits() & 63
				held -= e.bits()
			}
			continue
		}
		if e.isLink() {
			e = lit.second(e, hold)
		}
		used := e.bits()
		switch {
		case e.isMatch():
		case e.isLiteral():
			dst[n] = e.literal()
			n++
			hold >>= used & 63
			held -= used
			continue
		case e.isEnd():
			hold >>= used & 63
			held -= used
			z.state = blockHead
			break loop
		default:
			err = errFlate
			break loop
		}
		rest := hold >> (used & 63)
		size := e.value() + int(rest&(1<<(e.extra()&63)-1))
		rest >>= e.extra() & 63
		d := far.at(rest)
		dist := d.value() + int(rest>>(d.bits()&63)&(1<<(d.extra()&63)-1))
		if !d.isMatch() || dist > n {
			err = errFlate
			break loop
		}
		used += e.extra() + d.bits() + d.extra()
		hold >>= used & 63
		held -= used
		if dist < 8 {
			copyWithin(dst, n, dist, size)
			n += size
			continue
		}
		end := n + size
		for from := n - dist; n < end; n, from = n+8, from+8 {
			binary.LittleEndian.PutUint64(dst[n:], binary.LittleEndian.Uint64(dst[from:]))
		}
		n = end
	}
	z.pos, z.hold, z.held = pos, hold&(1<<held-1), held
	return n, err
}
