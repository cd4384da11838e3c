package ui

// paint is whether a stream takes colour.
type paint bool

func (p paint) with(code, s string) string {
	if !p || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p paint) bold(s string) string   { return p.with("1", s) }
func (p paint) dim(s string) string    { return p.with("2", s) }
func (p paint) red(s string) string    { return p.with("31", s) }
func (p paint) green(s string) string  { return p.with("32", s) }
func (p paint) yellow(s string) string { return p.with("33", s) }
func (p paint) cyan(s string) string   { return p.with("36", s) }

// state colours the words for states and outcomes; other words stay as they are.
func (p paint) state(word string) string {
	switch word {
	case "live":
		return p.with("1;32", word)
	case "done", "staged", "up", "ok":
		return p.green(word)
	case "refused", "cancelled", "interrupted", "superseded":
		return p.yellow(word)
	case "reverted":
		return p.with("1;33", word)
	case "failed", "down":
		return p.with("1;31", word)
	case "pruned", "unstaged", "once-live":
		return p.dim(word)
	}
	return word
}
