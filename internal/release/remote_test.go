package release

import (
	"strings"
	"testing"
)

func TestParseRemote(t *testing.T) {
	for text, want := range map[string]string{
		"https://git.example.com/team/lib.git":       "https://git.example.com/team/lib.git",
		"HTTPS://Git.Example.COM:8443/Team/lib.git/": "https://git.example.com:8443/Team/lib.git",
		"http://127.0.0.1:8080/a":                    "http://127.0.0.1:8080/a",
		"https://[::1]:8080/a":                       "https://[::1]:8080/a",
		"ssh://git@host/~me/a.git":                   "ssh://git@host/~me/a.git",
		"ssh://host:22/a":                            "ssh://host:22/a",
		"git@Host:team/lib.git":                      "git@host:team/lib.git",
		"host:/srv/lib.git":                          "host:/srv/lib.git",
		"/srv/git/lib.git":                           "file:///srv/git/lib.git",
		"file:///srv/git/lib.git":                    "file:///srv/git/lib.git",
		"git://host/@scope/c++,x=1":                  "git://host/@scope/c++,x=1",
	} {
		r, err := ParseRemote(text)
		if err != nil || r.String() != want {
			t.Errorf("%q: %q, %v; want %q", text, r, err, want)
		}
		again, err := ParseRemote(want)
		if err != nil || again.String() != want {
			t.Errorf("%q is not read back: %q, %v", want, again, err)
		}
	}
}

// What would mean one thing to who reads it and another to git or ssh.
func TestHostileRemotes(t *testing.T) {
	for _, text := range []string{
		"", "lib.git", "./lib", "../lib", "..", "~/lib", "C:",
		"-u./payload", "--upload-pack=touch /tmp/x", "-oProxyCommand=id:x", // CVE-2018-17456
		"ext::sh -c id", "ext::id", "fd::17", "https::https://host/a", "foo::bar", "ext://host/a", "ftp://host/a", "javascript://host/a",
		"ssh://-oProxyCommand=id/a", "ssh://-oProxyCommand=id@host/a", "-oProxyCommand=id@host:a", "ssh://git@-oProxyCommand=id/a", "-x:a", // CVE-2017-1000117
		"host:-a", "ssh://host/-a", "https://host/team/-a", "/srv/-a",
		"https://user@host/a", "https://user:secret@host/a", "https://good.example.com@evil.example.com/a", "ssh://git:secret@host/a",
		"https://good.example.com\\@evil.example.com/a", "https://good.example.com#@evil.example.com/a", "https://good.example.com?@evil/a",
		"https://host", "https://host/", "https://host//", "https:///a", "https:/a", "https:a", "file:a", "file://host/a", "file:///", "/",
		"https://host/a/../b", "https://host/../b", "https://host/./b", "https://host//b", "host:../b", "host:a//b", "/srv/../etc",
		"https://host/%2e%2e/b", "https://host/a%0ab", "https://ho%73t/a", "https://host/a%00",
		"https://host/a\nb", "https://host/a\r", "https://host/a\r\nHost: evil", "https://host/a\tb", "https://host/a b", "https://host/a\x00b",
		"\nhttps://host/a", "https://host\n.evil/a", "https://h\u00f6st/a", "https://host/\u202ea", "https://host/a\x1b[2J", "https://host/a\x7f",
		"https://host:0/a", "https://host:99999/a", "https://host:80:80/a", "https://host:/a", "https://.host/a", "https://host./a", "https://a..b/a",
		"https://host/a?b", "https://host/a#b", "https://host/a*", "https://*/a", "https://host/$(id)", "https://host/`id`", "https://host/a;b",
		"https://host/a|b", "https://host/a'b", `https://host/a"b`, `https://host/a\b`, "host:a:b", "host::a", ":a", "@host:a", "a@b@host:c",
	} {
		r, err := ParseRemote(text)
		if err == nil {
			t.Errorf("%q was taken as %q", text, r)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error tells the password: %v", text, err)
		}
	}
}

func TestJoin(t *testing.T) {
	for _, c := range []struct{ base, relative, want string }{
		{"https://host/team/shop.git", "../lib.git", "https://host/team/lib.git"},
		{"https://host/team/shop.git", "../../other/lib.git", "https://host/other/lib.git"},
		{"https://host/team/shop.git", "./lib.git", "https://host/team/shop.git/lib.git"},
		{"https://host/team/shop.git", "../.././lib.git/", "https://host/lib.git"},
		{"git@host:team/shop.git", "../lib.git", "git@host:team/lib.git"},
		{"git@host:shop.git", "../lib.git", "git@host:lib.git"},
		{"git@host:/srv/shop.git", "../../lib.git", "git@host:/lib.git"},
		{"/srv/git/shop.git", "../lib.git", "file:///srv/git/lib.git"},
		{"https://host/shop.git", "../../lib.git", ""},
		{"https://host/shop.git", "../../evil.example.com/lib.git", ""},
		{"git@host:shop.git", "../../lib.git", ""},
		{"https://host/team/shop.git", "../a/../lib.git", ""},
		{"https://host/team/shop.git", "../-lib.git", ""},
		{"https://host/team/shop.git", "../lib.git\n", ""},
		{"https://host/team/shop.git", "../@evil.example.com/lib.git", "https://host/team/@evil.example.com/lib.git"},
		{"https://host/team/shop.git", "..//lib.git", ""},
		{"https://host/team/shop.git", "../..", ""},
	} {
		base, err := ParseRemote(c.base)
		if err != nil {
			t.Fatal(err)
		}
		got, err := base.Join(c.relative)
		if (err == nil) != (c.want != "") || err == nil && got.String() != c.want {
			t.Errorf("%s and %q: %q, %v; want %q", c.base, c.relative, got, err, c.want)
		}
	}
}

func TestRemotePattern(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes, no []string
	}{
		{
			"https://git.example.com/*",
			[]string{"https://git.example.com/a", "https://git.example.com/a/b/c.git", "https://GIT.example.com/a"},
			[]string{
				"http://git.example.com/a", "https://git.example.com.evil.org/a", "https://git.example.com:8443/a", "ssh://git@git.example.com/a",
				"git@git.example.com:a", "https://evil.org/git.example.com/a", "https://xgit.example.com/a",
			},
		},
		{
			"https://host/team/*",
			[]string{"https://host/team/a"},
			[]string{"https://host/team", "https://host/teammate/a", "https://host/a/team/a", "https://host/Team/a"},
		},
		{"https://host/team/lib.git", []string{"https://host/team/lib.git/"}, []string{"https://host/team/lib", "https://host/team/lib.git/x"}},
		{"git@host:*", []string{"git@host:a", "git@host:/a/b"}, []string{"host:a", "root@host:a", "ssh://git@host/a", "git@hosts:a"}},
		{"git@host:team/*", []string{"git@host:team/a"}, []string{"git@host:/team/a", "git@host:teams/a"}},
		{"/srv/git/*", []string{"/srv/git/a", "file:///srv/git/a"}, []string{"/srv/github/a", "/srv/git", "host:/srv/git/a"}},
	} {
		p, err := ParseRemotePattern(c.pattern)
		if err != nil {
			t.Fatalf("%s: %v", c.pattern, err)
		}
		for i, text := range append(c.yes, c.no...) {
			r, err := ParseRemote(text)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if p.Match(r) != (i < len(c.yes)) {
				t.Errorf("%s, %s: %v", c.pattern, text, p.Match(r))
			}
		}
	}
	for _, bad := range []string{
		"", "*", "/*/", "https://*", "https://*/a", "https://*.example.com/*", "https://host*", "https://host/a*", "https:*", "https://host:*",
		"https://host/*/a", "**", "https://host/**", "https://host//*", "https://host/../*", "https://u@host/*", "ext::*", "-*", "-x:*", "file:*",
	} {
		if p, err := ParseRemotePattern(bad); err == nil {
			t.Errorf("%q was taken: %+v", bad, p)
		}
	}
}

// An address that was taken is taken again in its one form, and that is what patterns see.
func FuzzParseRemote(f *testing.F) {
	for _, seed := range []string{"https://host/a", "git@host:a", "/srv/a", "ssh://u@[::1]:22/a", "ext::id", "https://a@b/c", "../a", "file:///a"} {
		f.Add(seed, "../b")
	}
	f.Fuzz(func(t *testing.T, text, relative string) {
		r, err := ParseRemote(text)
		if err != nil {
			return
		}
		again, err := ParseRemote(r.String())
		if err != nil || again != r && again.String() != r.String() {
			t.Errorf("%q is %q, and that %q, %v", text, r, again, err)
		}
		joined, err := r.Join(relative)
		if err == nil && (joined.Protocol != r.Protocol || joined.Host != r.Host || joined.User != r.User) {
			t.Errorf("%q and %q leave the host: %q", text, relative, joined)
		}
	})
}
