package gitrepo

import (
	"strings"
	"testing"
)

func TestSignersErrors(t *testing.T) {
	key := "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK0wmN/Cr3JXqmLW7u+g9pTh+wyqDHpSQEIQczXkVx9q"
	for _, c := range [][2]string{
		{"dana@example.org", "is not a name, options and a key"},
		{`"dana ` + key, "is not a name, options and a key"},
		{`da"na ` + key, "is not a name, options and a key"},
		{`"" ` + key, "names nobody"},
		{"d@x " + key + "\x00", "holds a NUL byte"},
		{"d@x ssh-ed25519 AAAA", "has no key that can be read"},
		{"d@x ssh-rsa " + strings.Fields(key)[1], "has no key that can be read"},
		{`d@x namespaces="git ` + key, "has no key that can be read"},
		{"d@x no-pty " + key, `has an option that is unknown: "no-pty"`},
		{"d@x cert-authority=yes " + key, `has an option that is unknown: "cert-authority"`},
		{"d@x namespaces=git " + key, "has namespaces without a value in quotes"},
		{"d@x namespaces " + key, "has namespaces without a value in quotes"},
		{`d@x namespaces="" ` + key, "allows no namespace"},
		{`d@x valid-after="20261301Z" ` + key, `"20261301Z" is no time`},
		{`d@x valid-after="soon" ` + key, `"soon" is no time`},
		{`d@x valid-after="" ` + key, `"" is no time`},
		{`d@x valid-after="20260101",valid-after="20260102" ` + key, "has valid-after twice"},
		{`d@x valid-after="20260102Z",valid-before="20260102Z" ` + key, "valid-before is not after valid-after"},
	} {
		line, want := c[0], c[1]
		_, err := parseSigners(TrustFile{Path: "signers", Data: []byte("# first\n" + line + "\n")})
		if err == nil || !strings.HasPrefix(err.Error(), "signers:2: "+want) {
			t.Errorf("%s:\n%v, want %s", line, err, want)
		}
	}
}

func TestWildcard(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true},
		{"*", "", true},
		{"?", "", false},
		{"a*", "abc", true},
		{"*c", "abc", true},
		{"a?c", "abc", true},
		{"*b*b*", "abab", true},
		{"*ab", "aab", true},
		{"a*b", "abc", false},
		{"**a**", "bab", true},
		{"A", "a", false},
	} {
		if got := wildcard(c.pattern, c.text); got != c.want {
			t.Errorf("%q of %q: %t", c.pattern, c.text, got)
		}
	}
}

// FuzzSigners feeds the parser what is no file of signers: what it takes must name somebody, and a key.
func FuzzSigners(f *testing.F) {
	key := "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK0wmN/Cr3JXqmLW7u+g9pTh+wyqDHpSQEIQczXkVx9q"
	for _, seed := range []string{
		"", "# nobody\n", "dana@example.org " + key + " comment\n", `"dana@example.org,*@x" ` + key + "\r\n",
		`d@x namespaces="git,file",valid-after="20260101",valid-before="20270101120000Z" ` + key,
		`!eve@x,*@x cert-authority,namespaces="g\"t" ` + key, `d@x namespaces="a b" ` + key + "\n\td@y " + key,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := parseSigners(TrustFile{Path: "signers", Data: data})
		if err != nil {
			return
		}
		for _, line := range file.lines {
			if line.key == nil || len(line.principals) == 0 || !line.has(line.key) && !line.authority {
				t.Fatalf("%q: %+v", data, line)
			}
			if !line.after.IsZero() && !line.before.IsZero() && !line.after.Before(line.before) {
				t.Fatalf("%q: from %s to %s", data, line.after, line.before)
			}
		}
	})
}
