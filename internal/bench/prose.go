//go:build linux

package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
)

// prose writes text that compresses and that deltas find as source code does: see BENCHMARKS.md for how near it comes. It computes
// with whole numbers only, which are the same on every machine.
type prose struct {
	rnd    *rand.Rand
	shapes []string
	words  []string
	names  []string // that all files can have
	own    []string // that the file in hand has
	count  int      // of separators
}

func newProse() *prose {
	p := &prose{rnd: rand.New(rand.NewPCG(1, 2)), shapes: strings.Split(shapes, "\n")}
	for range 2000 {
		p.words = append(p.words, p.word())
	}
	for range 4000 {
		p.names = append(p.names, p.name())
	}
	return p
}

// word is something that could be said: the commonest ones are short.
func (p *prose) word() string {
	var b strings.Builder
	for range 1 + p.rnd.IntN(2+len(p.words)/700) {
		b.WriteString(p.one("b c d f g h l m n p r s t v w st th tr pr"))
		b.WriteString(p.one("a e i o u ea ou"))
	}
	b.WriteString(p.one(" n s t r l ng"))
	return b.String()
}

func (p *prose) one(of string) string {
	all := strings.Split(of, " ")
	return all[p.rnd.IntN(len(all))]
}

func (p *prose) name() string {
	name := p.often(p.words)
	for range p.rnd.IntN(3) {
		name += "_" + p.often(p.words)
	}
	return name
}

// often is one of all, the first ones more often than the others.
func (p *prose) often(all []string) string {
	return all[p.rnd.IntN(1+p.rnd.IntN(1+p.rnd.IntN(len(all))))]
}

// shapes are lines of code: $ stands for a name, ~ for a word, # for a number.
const shapes = `if (!$)
if ($->$ == $)
if ($($, &$) < #)
	return $;
	return error(_("~ ~ ~ ~ '%s'"), $);
$ = $($, $);
$ = $->$;
$->$ = #;
$($, "~");
$(&$, $, #);
for ($ = #; $ < $->$; $++) {
} else {
}
}

static int $(struct $ *$, const char *$)
struct $ *$ = $;
 * ~ ~ ~ ~ ~ ~ ~ ~ ~
 * ~ ~ ~ ~ ~ ~ ~
/* ~ ~ ~ ~ */
#define $ #`

func (p *prose) line() []byte {
	shape := p.shapes[p.rnd.IntN(len(p.shapes))]
	line := []byte(strings.Repeat("\t", p.rnd.IntN(1+p.rnd.IntN(4))))
	for _, c := range []byte(shape) {
		switch c {
		case '$':
			line = append(line, p.often(p.own)...)
		case '~':
			if p.rnd.IntN(4) == 0 {
				line = append(line, p.word()...) // that no other line has
			} else {
				line = append(line, p.often(p.words)...)
			}
		case '#':
			line = fmt.Append(line, p.rnd.IntN(1+p.rnd.IntN(300)))
		default:
			line = append(line, c)
		}
	}
	return append(line, '\n')
}

// file is the lines of a file of so many bytes on average: half of the files are much smaller, a few much larger.
func (p *prose) file(mean int) [][]byte {
	size := 32 * mean
	for range 5 {
		size = p.rnd.IntN(size + 1)
	}
	p.own = nil
	for range 16 + size/300 {
		p.own = append(p.own, p.often(p.names))
	}
	var lines [][]byte
	for n := 0; n <= size; n += len(lines[len(lines)-1]) {
		if len(lines) > 0 && p.rnd.IntN(5) == 0 {
			lines = append(lines, lines[p.rnd.IntN(len(lines))])
		} else {
			lines = append(lines, p.line())
		}
	}
	return lines
}

// edit puts some lines in the place of about as many others, in a few places, in a copy.
func (p *prose) edit(lines [][]byte) [][]byte {
	some := func() int { return 1 + p.rnd.IntN(1+p.rnd.IntN(12)) }
	lines = append([][]byte(nil), lines...)
	for range 1 + p.rnd.IntN(1+p.rnd.IntN(30)) {
		at := p.rnd.IntN(len(lines))
		rest := lines[min(at+some(), len(lines)):]
		lines = lines[:at:at]
		for range some() {
			lines = append(lines, p.line())
		}
		lines = append(lines, rest...)
	}
	return lines
}

// separate writes a blob that nothing is like, so that what follows is not packed as a delta from what went before.
func (p *prose) separate(w io.Writer) {
	p.count++
	fmt.Fprintln(w, "blob")
	data(w, fmt.Appendf(nil, "separator %d", p.count))
}
