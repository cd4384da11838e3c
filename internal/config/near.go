package config

import (
	"reflect"
	"slices"
	"strings"
)

// unknownKey names the first part of key that is unknown, with the key that was probably meant.
func unknownKey(line int, key []string) problem {
	n := 0
	for n < len(key)-1 && typeOf(key[:n+1]) != nil {
		n++
	}
	p := problem{line: line, text: `unknown key "` + strings.Join(key[:n+1], ".") + `"`}
	table := strings.Join(key[:n], ".")
	if near := nearest(key[n], keysOf(typeOf(key[:n]))); near != "" {
		p.hint = `did you mean "` + strings.TrimPrefix(table+"."+near, ".") + `"?`
	} else if homes := tablesWith(key[n]); len(homes) > 0 {
		p.hint = key[n] + " belongs in " + strings.Join(homes, ", ")
	} else if keys := keysOf(typeOf(key[:n])); n > 0 && len(keys) > 0 {
		p.hint = table + " has " + strings.Join(keys, ", ")
	}
	return p
}

// tablesWith are the tables, as written, that have the key; the top of the file is one of them.
func tablesWith(key string) []string {
	var tables []string
	root := reflect.TypeFor[Config]()
	if slices.Contains(keysOf(root), key) {
		tables = append(tables, "the top of the file")
	}
	for f := range root.Fields() {
		if !slices.Contains(keysOf(f.Type), key) {
			continue
		}
		name := "[" + f.Tag.Get("toml") + "]"
		if f.Type.Kind() == reflect.Slice {
			name = "[" + name + "]"
		}
		tables = append(tables, name)
	}
	return tables
}

// nearest is the key with the fewest edits from word, if they are few for its length.
func nearest(word string, keys []string) string {
	best, edits := "", max(1, min(3, len(word)/3))+1
	for _, key := range keys {
		if n := distance(strings.ToLower(word), key); n < edits {
			best, edits = key, n
		}
	}
	return best
}

// distance counts the edits from a to b, a swap of neighbours being one.
func distance(a, b string) int {
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
