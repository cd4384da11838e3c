package export

import "strings"

// The attributes that say how a file is exported. Their numbers index evaluator.values.
const (
	attrExportIgnore = iota
	attrExportSubst
	attrText
	attrCRLF
	attrEOL
	attrIdent
	attrFilter
	attrEncoding
	attrsKnown
)

// evaluator tells the attributes of paths during one walk of a tree, from the .gitattributes of the directories above each. It
// knows nothing but the tree: $GIT_DIR/info/attributes, core.attributesFile and the system's attributes are not asked, since a
// release is what its tag says wherever it is exported.
type evaluator struct {
	numbers map[string]int // of attributes by name
	macros  map[int][]numbered
	levels  []level
	values  []value // of the path being looked at
	set     []int   // the numbers of those that are not unspecified
}

// level is the .gitattributes of one directory.
type level struct {
	dir   string // "" or "a/b/"
	rules []rule
}

type rule struct {
	pattern pattern
	assigns []numbered
}

type numbered struct {
	attr  int
	value value
}

func newEvaluator() *evaluator {
	e := &evaluator{numbers: make(map[string]int), macros: make(map[int][]numbered)}
	for _, name := range []string{"export-ignore", "export-subst", "text", "crlf", "eol", "ident", "filter", "working-tree-encoding"} {
		e.number(name)
	}
	e.macros[e.number("binary")] = e.resolve([]assignment{
		{"diff", value{state: stateFalse}}, {"merge", value{state: stateFalse}}, {"text", value{state: stateFalse}},
	})
	return e
}

func (e *evaluator) number(name string) int {
	n, ok := e.numbers[name]
	if !ok {
		n = len(e.numbers)
		e.numbers[name] = n
		e.values = append(e.values, value{})
	}
	return n
}

func (e *evaluator) resolve(assigns []assignment) []numbered {
	out := make([]numbered, len(assigns))
	for i, a := range assigns {
		out[i] = numbered{e.number(a.name), a.value}
	}
	return out
}

// push adds the .gitattributes of dir ("" or "a/b/"), which lies in the directory pushed before; data is empty where it has none.
func (e *evaluator) push(dir, data string) {
	l := level{dir: dir}
	for _, parsed := range parseAttributes(data, dir == "") {
		assigns := e.resolve(parsed.assigns)
		if parsed.macro != "" {
			e.macros[e.number(parsed.macro)] = assigns
			continue
		}
		l.rules = append(l.rules, rule{parsed.pattern, assigns})
	}
	e.levels = append(e.levels, l)
}

func (e *evaluator) pop() { e.levels = e.levels[:len(e.levels)-1] }

// lookup evaluates the attributes of path, in the directory pushed last. A directory's path has no slash at its end. The result
// is good until the next lookup and indexed by the attr constants.
func (e *evaluator) lookup(path string, isDir bool) []value {
	for _, n := range e.set {
		e.values[n] = value{}
	}
	e.set = e.set[:0]
	for i := len(e.levels) - 1; i >= 0; i-- {
		l := &e.levels[i]
		if len(l.rules) == 0 {
			continue
		}
		below := strings.TrimPrefix(path, l.dir)
		for j := len(l.rules) - 1; j >= 0; j-- {
			if l.rules[j].pattern.match(below, isDir) {
				e.fill(l.rules[j].assigns)
			}
		}
	}
	return e.values[:attrsKnown]
}

// fill assigns what has no value yet, the last first: who comes first wins, and the nearest line was asked first.
func (e *evaluator) fill(assigns []numbered) {
	for i := len(assigns) - 1; i >= 0; i-- {
		a := assigns[i]
		if e.values[a.attr].state != stateUnspecified {
			continue
		}
		e.values[a.attr] = a.value
		e.set = append(e.set, a.attr)
		if a.value.state == stateTrue {
			e.fill(e.macros[a.attr])
		}
	}
}
