package release

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Remote is the address of a git repository that is elsewhere. It is read so strictly that an address has one form only: what is
// compared with a pattern is what git will use. Refused is all that could mean one thing to whoever reads it and another to git:
// passwords, percent-encoding, "..", control characters, words that git or ssh would take for an option, transports that run a
// command.
type Remote struct {
	Protocol string // https, http, ssh, git or file
	User     string // of ssh alone
	Host     string // in lower case, with the port if one is given; "" of file
	Path     string // "/team/lib.git"; in the short form may be relative to the user's home there
	short    bool   // "user@host:path", as ssh has it besides ssh://
}

var (
	remoteUser = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)
	remoteHost = regexp.MustCompile(`^([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$`)
	remotePath = regexp.MustCompile(`^[A-Za-z0-9._~+@,=/-]+$`)
)

// protocols are those that git itself speaks. "ext::" and its like run any command.
var protocols = []string{"https", "http", "ssh", "git", "file"}

// ParseRemote reads an address: https://HOST/PATH and its like, USER@HOST:PATH, or an absolute path of this machine. The error says
// what is wrong with it and not what it is: it may hold a password.
func ParseRemote(text string) (Remote, error) {
	if strings.HasPrefix(text, "-") {
		return Remote{}, errors.New("it looks like an option")
	}
	for _, c := range []byte(text) {
		if c <= ' ' || c >= 0x7f {
			return Remote{}, errors.New("it holds a blank, a control character or one that is not ASCII")
		}
	}
	protocol, rest, isURL := strings.Cut(text, "://")
	before, after, hasColon := strings.Cut(text, ":")
	switch {
	case isURL:
		return parseURL(strings.ToLower(protocol), rest)
	case strings.HasPrefix(text, "/"):
		return Remote{Protocol: "file"}.at(text)
	case hasColon && !strings.Contains(before, "/"):
		return parseShort(before, after)
	}
	return Remote{}, errors.New("it is neither an address nor an absolute path")
}

func parseURL(protocol, rest string) (Remote, error) {
	r := Remote{Protocol: protocol}
	slash := strings.IndexByte(rest, '/')
	if slash < 0 {
		return r, errors.New("it names no repository on its host")
	}
	authority, path := rest[:slash], rest[slash:]
	user, host, hasUser := strings.Cut(authority, "@")
	if !hasUser {
		user, host = "", authority
	}
	switch protocol {
	case "file":
		if authority != "" {
			return r, errors.New("a file:// address has no host")
		}
		return r.at(path)
	case "ssh":
	case "https", "http", "git":
		if hasUser {
			return r, errors.New("it holds a user's name or password")
		}
	default:
		return r, fmt.Errorf("its protocol is none of %s", strings.Join(protocols, ", "))
	}
	return r.on(user, host, hasUser, path)
}

func parseShort(before, path string) (Remote, error) {
	r := Remote{Protocol: "ssh", short: true}
	if strings.HasPrefix(path, ":") {
		return r, errors.New("it names a transport that runs a command")
	}
	user, host, hasUser := strings.Cut(before, "@")
	if !hasUser {
		user, host = "", before
	}
	for _, p := range protocols {
		if strings.EqualFold(host, p) {
			return r, errors.New("it has a protocol's name where a host should be")
		}
	}
	return r.on(user, host, hasUser, path)
}

// on is the address on a host.
func (r Remote) on(user, host string, hasUser bool, path string) (Remote, error) {
	r.User, r.Host = user, strings.ToLower(host)
	if hasUser && !remoteUser.MatchString(user) {
		return r, errors.New("its user is no plain name, or has a password")
	}
	if !remoteHost.MatchString(r.Host) || strings.Contains(r.Host, "..") {
		return r, errors.New("its host is no host's name")
	}
	if at := strings.LastIndexByte(r.Host, ':'); at > strings.LastIndexByte(r.Host, ']') {
		if port, err := strconv.Atoi(r.Host[at+1:]); err != nil || port == 0 || port > 65535 {
			return r, errors.New("its port is none")
		}
	}
	return r.at(path)
}

// at is the address with a path.
func (r Remote) at(path string) (Remote, error) {
	r.Path = strings.TrimSuffix(path, "/")
	if r.Path == "" || !remotePath.MatchString(r.Path) {
		return r, errors.New(`its path is empty, or holds other than letters, digits and any of "._~+@,=-"`)
	}
	for part := range strings.SplitSeq(strings.TrimPrefix(r.Path, "/"), "/") {
		switch {
		case part == "", part == ".", part == "..":
			return r, errors.New(`its path holds "//", "." or ".."`)
		case part[0] == '-':
			return r, errors.New("a part of its path looks like an option")
		}
	}
	return r, nil
}

// String is the address in its one form, as git takes it.
func (r Remote) String() string {
	host := r.Host
	if r.User != "" {
		host = r.User + "@" + host
	}
	if r.short {
		return host + ":" + r.Path
	}
	return r.Protocol + "://" + host + r.Path
}

// RelativeURL tells whether a submodule's URL is relative to that of the repository it lies in.
func RelativeURL(url string) bool {
	return strings.HasPrefix(url, "./") || strings.HasPrefix(url, "../")
}

// Join resolves a relative URL, as git does for submodules: "../lib.git" stands beside r. One that leads above the host's top is an
// error; git would take the host away.
func (r Remote) Join(relative string) (Remote, error) {
	dir := r.Path
	for {
		rest, up := strings.CutPrefix(relative, "../")
		if !up {
			if rest, up = strings.CutPrefix(relative, "./"); !up {
				break
			}
			relative = rest
			continue
		}
		if dir == "" {
			return Remote{}, errors.New("it leads above the top of its host")
		}
		dir, relative = dir[:max(strings.LastIndexByte(dir, '/'), 0)], rest
	}
	if dir != "" || strings.HasPrefix(r.Path, "/") {
		relative = dir + "/" + relative
	}
	r.Path = relative
	return ParseRemote(r.String())
}

// RemotePattern is one address, or all below one.
type RemotePattern struct {
	text  string
	below bool // text is what an address has to begin with, up to a slash or the colon of the short form
}

// ParseRemotePattern reads a pattern: an address, which "/*" at its end, or ":*" in the short form, makes all that lie below it at
// any depth. An asterisk anywhere else is an error: in a host's name it would match more than it seems to.
func ParseRemotePattern(text string) (RemotePattern, error) {
	prefix, below := strings.CutSuffix(text, "*")
	if below && !strings.HasSuffix(prefix, "/") && !strings.HasSuffix(prefix, ":") || strings.Contains(prefix, "*") {
		return RemotePattern{}, errors.New(`an asterisk stands at the end only, after "/" or ":"`)
	}
	const some = "x"
	if below {
		prefix += some
	}
	r, err := ParseRemote(prefix)
	if err != nil {
		return RemotePattern{}, err
	}
	text = r.String()
	if below {
		text = strings.TrimSuffix(text, some)
	}
	return RemotePattern{text, below}, nil
}

// Match tells whether the pattern allows an address.
func (p RemotePattern) Match(r Remote) bool {
	if p.below {
		return strings.HasPrefix(r.String(), p.text)
	}
	return r.String() == p.text
}
