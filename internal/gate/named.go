package gate

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// namedIn is where an answer names its release. The zero value is nowhere.
type namedIn struct {
	header  string
	pattern *regexp.Regexp
}

func parseNamed(s string) (namedIn, error) {
	if s == "" {
		return namedIn{}, nil
	}
	kind, arg, _ := strings.Cut(s, " ")
	arg = strings.TrimSpace(arg)
	switch {
	case kind == "header" && arg != "" && !strings.ContainsAny(arg, " \t:"):
		return namedIn{header: arg}, nil
	case kind == "body" && arg != "":
		pattern, err := regexp.Compile(arg)
		return namedIn{pattern: pattern}, err
	}
	return namedIn{}, errors.New(`neither "header NAME" nor "body REGEXP"`)
}

// check gives the name, if it is one of the release's.
func (n namedIn) check(header http.Header, body []byte, req HealthRequest) (string, error) {
	var name, where string
	switch {
	case n.header != "":
		name, where = strings.TrimSpace(header.Get(n.header)), "header "+n.header
	case n.pattern != nil:
		name, where = firstGroup(n.pattern, body), "match of "+n.pattern.String()
	default:
		return "", nil
	}
	if name == "" {
		return "", fmt.Errorf("no %s, which should name %s", where, req.Tag)
	}
	if !names(name, req.Tag, req.Commit) {
		return "", fmt.Errorf("%q answers, %s expected", name, req.Tag)
	}
	return name, nil
}

func firstGroup(pattern *regexp.Regexp, body []byte) string {
	m := pattern.FindSubmatch(body)
	switch len(m) {
	case 0:
		return ""
	case 1:
		return string(m[0])
	}
	return string(m[1])
}

// names says whether name is the tag, the commit or an abbreviation of the commit.
func names(name, tag, commit string) bool {
	if name == tag {
		return true
	}
	return len(name) >= shortCommit && strings.HasPrefix(commit, strings.ToLower(name))
}
