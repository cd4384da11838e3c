package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/git-rel/rel/internal/release"
	"github.com/pelletier/go-toml/v2/unstable"
)

// source is a parsed document that knows on which line each key stands. The decoder keeps no positions, and an error of
// validation is worth little without one.
type source struct {
	lines  []string
	at     map[string]int  // "service[1].restart" → line, from 1
	plain  map[string]int  // tables written [x]
	tables map[string]bool // tables written [[x]]
}

// readSource indexes a document that the decoder has accepted, so that it cannot be malformed.
func readSource(data []byte) (*source, error) {
	s := &source{
		lines: strings.Split(string(data), "\n"),
		at:    map[string]int{}, plain: map[string]int{}, tables: map[string]bool{},
	}
	count := map[string]int{}
	prefix := ""
	p := &unstable.Parser{}
	p.Reset(data)
	for p.NextExpression() {
		node := p.Expression()
		switch node.Kind {
		case unstable.Table:
			name, line := keyOf(p, node)
			prefix = name
			if n := count[name]; n > 0 {
				prefix = element(name, n-1)
			}
			s.at[prefix], s.plain[name] = line, line
		case unstable.ArrayTable:
			name, line := keyOf(p, node)
			prefix = element(name, count[name])
			count[name]++
			s.at[prefix], s.tables[name] = line, true
		case unstable.KeyValue:
			s.add(p, prefix, node)
		}
	}
	return s, p.Error()
}

func element(name string, n int) string { return name + "[" + strconv.Itoa(n) + "]" }

func keyOf(p *unstable.Parser, node *unstable.Node) (name string, line int) {
	var parts []string
	for it := node.Key(); it.Next(); {
		if line == 0 {
			line = p.Shape(it.Node().Raw).Start.Line
		}
		parts = append(parts, string(it.Node().Data))
	}
	return strings.Join(parts, "."), line
}

func (s *source) add(p *unstable.Parser, prefix string, node *unstable.Node) {
	name, line := keyOf(p, node)
	if prefix != "" {
		name = prefix + "." + name
	}
	s.at[name] = line
	s.addValue(p, name, node.Value())
}

// addValue indexes what an inline table or an array of them holds.
func (s *source) addValue(p *unstable.Parser, name string, value *unstable.Node) {
	switch value.Kind {
	case unstable.InlineTable:
		for it := value.Children(); it.Next(); {
			s.add(p, name, it.Node())
		}
	case unstable.Array:
		n := 0
		for it := value.Children(); it.Next(); {
			if it.Node().Kind == unstable.InlineTable {
				s.at[element(name, n)] = s.at[name]
				s.addValue(p, element(name, n), it.Node())
			}
			n++
		}
	}
}

func (s *source) line(key string) (int, bool) {
	if s == nil {
		return 0, false
	}
	n, ok := s.at[key]
	return n, ok
}

// nearest is the line of key, or of the table it would stand in; 0 where the file has neither.
func (s *source) nearest(key string) int {
	for key != "" {
		if n, ok := s.line(key); ok {
			return n
		}
		key = key[:max(0, strings.LastIndexByte(key, '.'))]
	}
	return 0
}

// problem is one thing wrong with a configuration.
type problem struct {
	line int
	text string // `unknown key "helth"`
	hint string
}

// report makes one error of all problems: a line for each, with the file's line under it.
func report(lines []string, problems []problem) error {
	if len(problems) == 0 {
		return nil
	}
	slices.SortStableFunc(problems, func(a, b problem) int { return a.line - b.line })
	var text []string
	for _, p := range problems {
		if p.line < 1 || p.line > len(lines) {
			text = append(text, File+": "+p.text)
			continue
		}
		text = append(text, fmt.Sprintf("%s:%d: %s", File, p.line, p.text))
		if line := strings.TrimSpace(lines[p.line-1]); line != "" {
			text = append(text, "    "+line)
		}
	}
	err := release.Errorf(release.ExitError, "%s", strings.Join(text, "\n"))
	for _, p := range problems {
		if p.hint != "" && !slices.Contains(err.Hints, p.hint) {
			_ = err.Hint("%s", p.hint)
		}
	}
	return err
}
