package config

import (
	"bytes"
	"errors"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	toml "github.com/pelletier/go-toml/v2"
)

// Parse reads the text of a rel.toml. Name is the root's directory name, for the defaults.
func Parse(data []byte, name string) (*Config, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	c := Default(name)
	d := toml.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	lines := strings.Split(string(data), "\n")
	if err := d.Decode(c); err != nil {
		return nil, report(lines, decodeProblems(data, err))
	}
	src, err := readSource(data)
	if err != nil {
		return nil, report(lines, decodeProblems(data, err))
	}
	if p := src.singleTables(); len(p) > 0 {
		return nil, report(lines, p)
	}
	c.source = src
	c.complete()
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c, nil
}

// singleTables finds [service] where [[service]] is meant: the decoder would take it, and a second one would then be refused
// as a duplicate.
func (s *source) singleTables() []problem {
	var problems []problem
	for _, name := range []string{"check", "service"} {
		if line, ok := s.plain[name]; ok {
			problems = append(problems, problem{
				line: line, text: "[" + name + "] wants double brackets, since there may be several",
				hint: "write [[" + name + "]]",
			})
		}
	}
	return problems
}

func decodeProblems(data []byte, err error) []problem {
	if missing, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		var problems []problem
		for i := range missing.Errors {
			e := &missing.Errors[i]
			line, _ := e.Position()
			problems = append(problems, unknownKey(line, e.Key()))
		}
		return problems
	}
	if e, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := e.Position()
		return []problem{{line: line, text: decodeText(e)}}
	}
	if e, ok := errors.AsType[*durationError](err); ok {
		return []problem{unquotedDuration(data, e)}
	}
	return []problem{{text: err.Error()}}
}

// unquotedDuration finds the key of a duration written as a bare number, which the decoder reports without a position.
func unquotedDuration(data []byte, e *durationError) problem {
	src, err := readSource(data)
	if err != nil {
		return problem{text: e.Error()}
	}
	for _, key := range slices.Sorted(maps.Keys(src.at)) {
		line := src.at[key]
		plain := plainKey(key)
		if typeOf(strings.Split(plain, ".")) == reflect.TypeFor[Duration]() && strings.Contains(src.lines[line-1], e.text) &&
			!strings.ContainsAny(src.lines[line-1], `"'`) {
			return problem{
				line: line, text: plain + ": it wants a duration, as \"30s\", not " + e.text,
				hint: strings.TrimSpace(src.lines[line-1]) + " wants quotes and a unit",
			}
		}
	}
	return problem{text: e.Error()}
}

// The decoder's text for a wrong type names Go's types, which mean nothing to the writer of a rel.toml.
var wrongType = regexp.MustCompile(`^cannot decode TOML (.+?) into `)

func decodeText(e *toml.DecodeError) string {
	text := strings.TrimPrefix(e.Error(), "toml: ")
	key := strings.Join(e.Key(), ".")
	if m := wrongType.FindStringSubmatch(text); m != nil {
		text = "it wants " + wants(typeOf(e.Key())) + ", not " + tomlKind(m[1])
	}
	if key == "" {
		return text
	}
	return key + ": " + text
}

func tomlKind(kind string) string {
	switch kind {
	case "string":
		return "a string"
	case "integer":
		return "a number"
	case "float":
		return "a fraction"
	case "boolean", "bool":
		return "true or false"
	case "array":
		return "a list"
	case "inline table", "table":
		return "a table"
	}
	return "a " + kind
}

// wants says in words what a key of type t takes.
func wants(t reflect.Type) string {
	switch {
	case t == nil:
		return "something else"
	case t == reflect.TypeFor[Duration]():
		return `a duration, as "30s"`
	case t == reflect.TypeFor[Reuse]():
		return `true, false or "auto"`
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Int:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct {
			return "tables, as [[service]]"
		}
		return `a list of strings, as ["a", "b"]`
	}
	return "a table"
}

// typeOf is the type of the value at key; nil where there is no such key.
func typeOf(key []string) reflect.Type {
	t := reflect.TypeFor[Config]()
	for _, part := range key {
		if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct {
			t = t.Elem()
		}
		switch t.Kind() {
		case reflect.Struct:
			f, ok := fieldOf(t, part)
			if !ok {
				return nil
			}
			t = f
		case reflect.Map:
			t = t.Elem()
		default:
			return nil
		}
	}
	return t
}

func fieldOf(t reflect.Type, key string) (reflect.Type, bool) {
	for f := range t.Fields() {
		if f.Tag.Get("toml") == key {
			return f.Type, true
		}
	}
	return nil, false
}

// keysOf are the keys that a table of type t has.
func keysOf(t reflect.Type) []string {
	if t != nil && t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	var keys []string
	for f := range t.Fields() {
		if key := f.Tag.Get("toml"); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}
