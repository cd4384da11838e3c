// Package hooks holds the scripts that git runs when something is pushed: a line of shell each, which calls rel.
package hooks

import (
	_ "embed"
	"strings"
)

// The hooks, as git names them.
const (
	PreReceive  = "pre-receive"  // may say no
	PostReceive = "post-receive" // is told
)

// Before is added to the name of a hook that was there before. It runs first.
const Before = ".before-rel"

//go:embed pre-receive
var preReceive string

//go:embed post-receive
var postReceive string

// Names are the hooks that there are scripts for.
func Names() []string { return []string{PreReceive, PostReceive} }

// Script is the text of a hook that calls program, the path of rel, for a root.
func Script(name, program, root string) string {
	text := preReceive
	if name == PostReceive {
		text = postReceive
	}
	return strings.NewReplacer("@REL@", quote(program), "@ROOT@", quote(root)).Replace(text)
}

// Root is the root that a hook's script calls rel for; ok is false for a script that is not one of these.
func Root(text string) (root string, ok bool) {
	head, _, _ := strings.Cut(preReceive, "rel=")
	rest, ours := strings.CutPrefix(text, head)
	_, rest, named := strings.Cut(rest, `exec "$rel" -C `)
	if !ours || !named {
		return "", ours
	}
	end := strings.LastIndex(rest, " hook p") // the name of a root may have it too
	return unquote(rest[:max(end, 0)]), true
}

// quote is text as one word of a shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func unquote(word string) string {
	return strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(word, "'"), "'"), `'\''`, "'")
}
