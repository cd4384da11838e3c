package objects

import "math/bits"

// Sizes of deflate's alphabets and of the tables that decode them: codes of up to litBits or distBits bits are found at once, the
// others in a second table. The sums are the most entries that complete codes of 288 and 32 symbols can need.
const (
	maxLit   = 288
	maxDist  = 32
	maxBits  = 15
	litBits  = 10
	distBits = 8
	litMore  = 1334 - 1<<litBits
	distMore = 402 - 1<<distBits
)

// code is an entry of a decoding table:
//
//	bits 0–5   length of the code and its extra bits, in bits; in a link, of the index into the second table
//	bits 6–9   of a match: length of the code alone
//	bits 10–13 what it is; none of them: no code begins like this
//	bits 16–31 literal, base of length or distance, or where the second table begins
type code uint32

const (
	codeLiteral code = 1 << (10 + iota)
	codeMatch
	codeEnd
	codeLink
)

func (c code) bits() uint      { return uint(c & 63) }
func (c code) shift() uint     { return uint(c >> 6 & 15) }
func (c code) value() int      { return int(c >> 16) }
func (c code) literal() byte   { return byte(c >> 16) }
func (c code) isLiteral() bool { return c&codeLiteral != 0 }
func (c code) isMatch() bool   { return c&codeMatch != 0 }
func (c code) isEnd() bool     { return c&codeEnd != 0 }
func (c code) isLink() bool    { return c&codeLink != 0 }

type litTable struct {
	first [1 << litBits]code
	more  [litMore]code
}

// at is the code that hold begins with.
func (t *litTable) at(hold uint64) code {
	c := t.first[hold&(1<<litBits-1)]
	if c.isLink() {
		return t.second(c, hold)
	}
	return c
}

func (t *litTable) second(c code, hold uint64) code {
	return t.more[c.value()+int(hold>>litBits&(1<<c.bits()-1))]
}

type distTable struct {
	first [1 << distBits]code
	more  [distMore]code
}

func (t *distTable) at(hold uint64) code {
	c := t.first[hold&(1<<distBits-1)]
	if c.isLink() {
		return t.more[c.value()+int(hold>>distBits&(1<<c.bits()-1))]
	}
	return c
}

// Bases and numbers of extra bits of the length codes from 257 on and of the distance codes.
var (
	lengthBase = [29]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthMore = [29]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distBase   = [30]uint16{
		1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
	}
	codeOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
)

func litCode(symbol int) code {
	switch {
	case symbol < 256:
		return codeLiteral | code(symbol)<<16
	case symbol == 256:
		return codeEnd
	case symbol < 257+len(lengthBase):
		return codeMatch | code(lengthMore[symbol-257]) | code(lengthBase[symbol-257])<<16
	}
	return 0
}

func distCode(symbol int) code {
	if symbol >= len(distBase) {
		return 0
	}
	return codeMatch | code(max(symbol/2-1, 0)) | code(distBase[symbol])<<16
}

// long gives a symbol's code its length in bits.
func (c code) long(n int) code { return c + code(n) | code(n)<<6 }

func lengthCode(symbol int) code { return codeLiteral | code(symbol)<<16 }

// build fills the tables of a code from the lengths of its symbols' codes. It takes what compress/flate takes: a complete code, a
// single code of one bit, or none at all.
func build(first, more []code, rootBits int, lengths []uint8, symbol func(int) code) bool {
	var count [maxBits + 1]int
	for _, n := range lengths {
		count[n]++
	}
	count[0] = 0
	used, longest := 0, 0
	for n := 1; n <= maxBits; n++ {
		used += count[n] << (maxBits - n)
		if count[n] > 0 {
			longest = n
		}
	}
	if used != 1<<maxBits {
		if longest != 0 && (longest != 1 || count[1] != 1) {
			return false
		}
		clear(first) // some beginnings are of no code
	}
	var sorted [maxLit]uint16
	order := sortSymbols(sorted[:], lengths, &count)
	fill := filler{first: first, more: more, root: rootBits, symbol: symbol, order: order}
	fill.short(&count)
	fill.long(&count, longest)
	return true
}

// sortSymbols lists the symbols that have a code in the order of their codes: by length, then by number.
func sortSymbols(sorted []uint16, lengths []uint8, count *[maxBits + 1]int) []uint16 {
	var next [maxBits + 2]int
	for n := 1; n <= maxBits; n++ {
		next[n+1] = next[n] + count[n]
	}
	for symbol, n := range lengths {
		if n > 0 {
			sorted[next[n]] = uint16(symbol)
			next[n]++
		}
	}
	return sorted[:next[maxBits+1]]
}

// filler is a table being filled in the order of codes.
type filler struct {
	first, more []code
	root        int
	symbol      func(int) code
	order       []uint16 // symbols not yet placed
	next        uint32   // the next code, of the length in hand
}

// short places the codes that the first table decodes. Before each length the table doubles: what is in it repeats.
func (f *filler) short(count *[maxBits + 1]int) {
	for n, size := 1, 1; n <= f.root; n, size = n+1, 2*size {
		copy(f.first[size:2*size], f.first[:size])
		f.next <<= 1
		for _, symbol := range f.order[:count[n]] {
			f.first[reverse(f.next, n)] = f.symbol(int(symbol)).long(n)
			f.next++
		}
		f.order = f.order[count[n]:]
	}
}

// long places the longer codes, each group with the same first bits into a second table just large enough for the group.
func (f *filler) long(count *[maxBits + 1]int, longest int) {
	link, begin, width := uint32(1<<maxBits), 0, 0
	end := 0
	for n := f.root + 1; n <= longest; n++ {
		f.next <<= 1
		for ; count[n] > 0; count[n]-- {
			head, tail := f.next>>(n-f.root), f.next&(1<<(n-f.root)-1)
			if head != link {
				link, begin, width = head, end, f.width(count, n, longest)
				end += 1 << width
				f.first[reverse(head, f.root)] = codeLink | code(begin)<<16 | code(width)
			}
			c := f.symbol(int(f.order[0])).long(n)
			for i := int(reverse(tail, n-f.root)); i < 1<<width; i += 1 << (n - f.root) {
				f.more[begin+i] = c
			}
			f.order = f.order[1:]
			f.next++
		}
	}
}

// width is how many bits a second table needs whose first code has length n: as many as make the codes to come fill it.
func (f *filler) width(count *[maxBits + 1]int, n, longest int) int {
	left := 1 << (n - f.root)
	for ; n < longest; n++ {
		if left -= count[n]; left <= 0 {
			break
		}
		left <<= 1
	}
	return n - f.root
}

// reverse turns the lowest n bits of c around: deflate sends codes with the highest bit first.
func reverse(c uint32, n int) uint32 { return bits.Reverse32(c) >> (32 - n) }
