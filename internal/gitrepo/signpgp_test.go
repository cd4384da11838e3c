package gitrepo

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// pgp is a home of GnuPG, whose clock can be set.
type pgp struct {
	*signing
	home string
}

func newPGP(t *testing.T) *pgp {
	t.Helper()
	needs(t, "gpg", "gnupg")
	home, err := os.MkdirTemp("", "pgp") // short: its agent's socket is in it
	if err != nil {
		t.Fatal(err)
	}
	p := &pgp{signing: newSigning(t), home: home}
	t.Setenv("GNUPGHOME", home)
	t.Cleanup(func() {
		if out, err := exec.Command("gpgconf", "--homedir", home, "--kill", "all").CombinedOutput(); err != nil {
			t.Logf("gpgconf: %v: %s", err, out)
		}
		if err := os.RemoveAll(home); err != nil {
			t.Error(err)
		}
	})
	p.git("config", "gpg.format", "openpgp")
	p.git("config", "gpg.program", p.at("now"))
	return p
}

// at is gpg at a time, "20260101T000000" or "now".
func (p *pgp) at(when string) string { return p.with(when, "") }

// with is gpg at a time with further options.
func (p *pgp) with(when, options string) string {
	p.t.Helper()
	clock := ""
	if when != "now" {
		clock = "--faked-system-time " + when + "!"
	}
	path := filepath.Join(p.home, "gpg-"+when+strings.ReplaceAll(options, " ", ""))
	script := "#!/bin/sh\nexec gpg --batch --no-tty --quiet --pinentry-mode loopback --passphrase '' " + clock + " " + options + ` "$@"` + "\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		p.t.Fatal(err)
	}
	return path
}

func (p *pgp) make(when, name, algorithm, usage, expires string) {
	p.t.Helper()
	p.run(p.at(when), "--quick-generate-key", name+" <"+name+"@example.org>", algorithm, usage, expires)
}

func (p *pgp) signAt(when, tag, key string, at time.Time) {
	p.t.Helper()
	p.now = at.Add(-time.Minute)
	p.git("-c", "gpg.program="+p.at(when), "tag", "--sign", "--local-user", key+"@example.org", "-m", tag, tag)
}

// export is a keyring of the keys named.
func (p *pgp) export(args ...string) string {
	p.t.Helper()
	out, err := exec.Command(p.at("now"), append([]string{"--export"}, args...)...).Output()
	if err != nil {
		p.t.Fatal(err)
	}
	path := filepath.Join(p.t.TempDir(), "keyring")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

func TestVerifyPGP(t *testing.T) {
	p := newPGP(t)
	p.make("20260101T000000", "dana", "ed25519", "sign", "60d")
	p.make("20260101T000000", "rsa", "rsa2048", "sign", "never")
	p.make("20260101T000000", "eve", "ed25519", "sign", "never")
	p.make("20260101T000000", "gone", "ed25519", "sign", "never")
	p.make("20260101T000000", "master", "ed25519", "cert", "never")
	fingerprint := p.fingerprint("master")
	p.run(p.at("20260102T000000"), "--quick-add-key", fingerprint, "ed25519", "sign", "60d")
	january, may := time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC), time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for _, name := range []string{"dana", "rsa", "eve", "gone", "master"} {
		p.signAt("20260120T000100", name, name, january)
	}
	p.signAt("20260120T000100", "later", "dana", may)
	p.signAt("20260120T000100", "sublater", "master", may)
	p.signAt("20260120T000100", "before", "dana", january.AddDate(-1, 0, 0))
	p.git("config", "gpg.program", p.with("20260120T000100", "--digest-algo SHA1"))
	p.now = january
	p.git("tag", "--sign", "--local-user", "rsa@example.org", "-m", "sha1", "sha1")
	p.git("config", "gpg.program", p.with("20260120T000100", "--textmode"))
	p.git("tag", "--sign", "--local-user", "rsa@example.org", "-m", "text", "text")
	p.raw("moved", p.object("dana"))
	p.raw("changed", strings.Replace(p.object("rsa"), "tag rsa", "tag changed", 1))
	p.raw("after", p.object("rsa")+"more\n")
	p.git("config", "gpg.program", p.at("20260120T000200")) // git judges a key at the time of its own clock
	armoured := p.export("--armor", "dana", "rsa", "gone", "master")
	for _, c := range []struct{ tag, signer, want string }{
		{"dana", "dana@example.org", ""}, // expired by now
		{"rsa", "rsa@example.org", ""},
		{"master", "master@example.org", ""},
		{"gone", "gone@example.org", ""},
		{"eve", "", "+signed by an unknown signer: OpenPGP "}, // git asks gpg's own keyring
		{"later", "", "+signed with an expired key: the tag is of 2026-05-01T00:00:00Z (OpenPGP "},
		{"sublater", "", "+signed with an expired key"},
		{"before", "", "+signed with a key that was not yet valid: it is from 2026-01-01T00:00:00Z"},
		{"moved", "", "+replayed: the signed tag is called dana"},
		{"sha1", "", "+wrongly signed: its OpenPGP signature is by SHA-1, which is too weak"},
		{"text", "", "+wrongly signed: its OpenPGP signature is of a text, not of bytes"},
		{"changed", "", "wrongly signed: the signature of OpenPGP "},
		{"after", "", "+wrongly signed: there is text after its signature"},
	} {
		t.Run(c.tag, func(t *testing.T) { p.agree(t, c.tag, "", armoured, c.signer, c.want) })
	}
	t.Run("keyrings", func(t *testing.T) {
		p.agree(t, "rsa", "", p.export("dana", "rsa"), "rsa@example.org", "")
		two := p.export("--armor", "dana")
		p.join(two, p.export("--armor", "rsa"))
		p.agree(t, "rsa", "", two, "rsa@example.org", "")
		if _, err := p.verdict("rsa", "", ""); err == nil || !strings.Contains(err.Error(), "sign.keyring is not set") {
			t.Error(err)
		}
	})
	p.git("config", "gpg.program", p.at("now"))
	before := func() string { return p.export("--armor", "dana", "gone", "master") }
	first, second := before(), before()
	t.Run("extended", func(t *testing.T) { // after which only a self-signature is left that is younger than the tag
		p.run(p.at("20260601T000000"), "--quick-set-expire", p.fingerprint("dana"), "1y")
		p.run(p.at("20260201T000000"), "--quick-set-expire", p.fingerprint("master"), "1y", "*")
		p.agree(t, "dana", "", p.export("dana"), "dana@example.org", "")
		p.agree(t, "later", "", p.export("dana"), "dana@example.org", "")
		p.agree(t, "sublater", "", p.export("master"), "master@example.org", "")
	})
	t.Run("revoked", func(t *testing.T) {
		p.revoke("gone")
		p.agree(t, "gone", "", p.export("gone", "rsa"), "", "signed with a revoked key (OpenPGP ")
	})
	t.Run("copies", func(t *testing.T) { // of a key, in the order in which they were exported, and in the other
		after := p.export("--armor", "dana", "gone", "master")
		p.join(first, after)
		p.join(after, second)
		for _, keyring := range []string{first, after} {
			p.agree(t, "gone", "", keyring, "", "signed with a revoked key (OpenPGP ")
			p.agree(t, "later", "", keyring, "dana@example.org", "")
			p.agree(t, "dana", "", keyring, "dana@example.org", "")
			p.agree(t, "sublater", "", keyring, "master@example.org", "")
		}
	})
}

func (p *pgp) join(to, from string) {
	p.t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		p.t.Fatal(err)
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := f.Write(data); err != nil {
		p.t.Error(err)
	}
	if err := f.Close(); err != nil {
		p.t.Error(err)
	}
}

func (p *pgp) fingerprint(name string) string {
	p.t.Helper()
	out, err := exec.Command(p.at("now"), "--with-colons", "--list-keys", name+"@example.org").Output()
	if err != nil {
		p.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(out), "\nfpr:::::::::")
	fingerprint, _, _ := strings.Cut(after, ":")
	return fingerprint
}

// revoke imports the revocation that gpg made ready with the key; a colon keeps it from being imported by mistake.
func (p *pgp) revoke(name string) {
	p.t.Helper()
	path := filepath.Join(p.home, "openpgp-revocs.d", p.fingerprint(name)+".rev")
	data, err := os.ReadFile(path)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), ":-----BEGIN", "-----BEGIN", 1)), 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.run(p.at("now"), "--import", path)
}

// TestRevokedSubkey is of a subkey that only the other copy of its key revokes, or has at all.
func TestRevokedSubkey(t *testing.T) {
	key, err := openpgp.NewEntity("dana", "", "dana@example.org", nil)
	if err != nil {
		t.Fatal(err)
	}
	export := func() string {
		var b bytes.Buffer
		if err := key.Serialize(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	without := export()
	if err := key.AddSigningSubkey(nil); err != nil {
		t.Fatal(err)
	}
	subkey := &key.Subkeys[len(key.Subkeys)-1]
	with := export()
	if err := key.RevokeSubkey(subkey, packet.KeyCompromised, "stolen", nil); err != nil {
		t.Fatal(err)
	}
	revoked := export()
	for _, data := range []string{without + with + revoked, revoked + with + without, with + revoked + without} {
		trust, err := NewTrust(TrustFile{}, TrustFile{Path: "keys", Data: []byte(data)})
		if err != nil {
			t.Fatal(err)
		}
		keys := trust.keyring.keys.KeysById(subkey.PublicKey.KeyId)
		if len(keys) != 1 || len(keys[0].Revocations) == 0 {
			t.Errorf("%d keys: %+v", len(keys), keys)
		}
	}
}

func TestKeyringErrors(t *testing.T) {
	key, err := openpgp.NewEntity("dana", "", "dana@example.org", nil)
	if err != nil {
		t.Fatal(err)
	}
	var whole, armoured, named bytes.Buffer
	out, err := armor.Encode(&armoured, openpgp.PublicKeyType, nil)
	for _, err := range []error{err, key.Serialize(&whole), key.Serialize(out), out.Close(), key.PrimaryKey.Serialize(&named)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range map[string]string{
		// one that cannot be read may be the younger copy of the other
		"no user": whole.String() + named.String(), "cut short": whole.String() + whole.String()[:whole.Len()-20],
		"mixed": armoured.String() + whole.String(), "mixed otherwise": whole.String() + armoured.String(),
		"empty": "", "text": "hello\n", "armour": "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n",
	} {
		if _, err := NewTrust(TrustFile{}, TrustFile{Path: "keys", Data: []byte(data)}); err == nil ||
			!strings.HasPrefix(err.Error(), "keys: not a keyring that can be read: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
