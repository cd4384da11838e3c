package gitrepo

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/release"
)

// needs skips a test without a program that is in a Debian package.
func needs(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is missing (Debian package %s)", program, pkg)
	}
}

// signing is a repository with a commit, and keys to sign tags of it.
type signing struct {
	*testRepo
	keys   string // directory of the private keys, by name; the public ones have .pub
	commit string
}

func newSigning(t *testing.T, args ...string) *signing {
	t.Helper()
	needs(t, "ssh-keygen", "openssh-client")
	s := &signing{testRepo: newRepo(t, args...), keys: t.TempDir()}
	s.commit = s.testRepo.commit("file", "one\n", "first")
	s.git("config", "gpg.format", "ssh")
	for _, name := range []string{"dana", "eve"} {
		s.key(name, "-t", "ed25519")
	}
	s.git("config", "user.signingKey", s.private("dana"))
	return s
}

func (s *signing) private(name string) string { return filepath.Join(s.keys, name) }

func (s *signing) key(name string, args ...string) {
	s.t.Helper()
	s.run("ssh-keygen", append([]string{"-q", "-N", "", "-C", name, "-f", s.private(name)}, args...)...)
}

func (s *signing) run(name string, args ...string) {
	s.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// pub is a key as a line of allowed_signers ends.
func (s *signing) pub(name string) string {
	s.t.Helper()
	data, err := os.ReadFile(s.private(name) + ".pub")
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// sign makes a signed tag at a time, with the key named.
func (s *signing) sign(tag, key string, at time.Time, args ...string) {
	s.t.Helper()
	s.now = at.Add(-time.Minute)
	s.git(append(append([]string{"-c", "user.signingKey=" + s.private(key), "tag", "--sign"}, args...), "-m", tag, tag)...)
}

// raw makes a tag of an object as it is given, which git itself might refuse to make.
func (s *signing) raw(ref, object string) {
	s.t.Helper()
	cmd := exec.Command("git", "hash-object", "-t", "tag", "-w", "--stdin", "--literally")
	cmd.Dir, cmd.Stdin = s.dir, strings.NewReader(object)
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatal(err)
	}
	s.git("update-ref", "refs/tags/"+ref, strings.TrimSpace(string(out)))
}

func (s *signing) object(tag string) string { return s.git("cat-file", "tag", tag) + "\n" }

// signers writes an allowed_signers file.
func (s *signing) signers(lines ...string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "allowed_signers")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func trustFile(t *testing.T, path string) TrustFile {
	t.Helper()
	if path == "" {
		return TrustFile{}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return TrustFile{Path: path, Data: data}
}

// verdict is what Verify says of refs/tags/TAG: who signed, or why not.
func (s *signing) verdict(tag, allowed, keyring string) (Signed, error) {
	s.t.Helper()
	trust, err := NewTrust(trustFile(s.t, allowed), trustFile(s.t, keyring))
	if err != nil {
		s.t.Fatal(err)
	}
	repo, err := Open(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	defer repo.Close()
	id, err := repo.store.Ref(tagPrefix + tag)
	if err != nil {
		s.t.Fatal(err)
	}
	return trust.Verify(repo.store, tagPrefix+tag, id)
}

// gitSays is git's own verdict.
func (s *signing) gitSays(tag, allowed string) (bool, string) {
	s.t.Helper()
	out, err := s.try("-c", "gpg.ssh.allowedSignersFile="+allowed, "verify-tag", tag)
	return err == nil, out
}

// agree compares the verdict with what is wanted, and with git's: "" is good, else it is the beginning of the refusal. A tag that
// only rel refuses is marked by "+" before.
func (s *signing) agree(t *testing.T, tag, allowed, keyring, signer, want string) {
	t.Helper()
	stricter := strings.HasPrefix(want, "+")
	want = strings.TrimPrefix(want, "+")
	signed, err := s.verdict(tag, allowed, keyring)
	switch {
	case want == "" && err != nil:
		t.Fatalf("refused: %v", err)
	case want == "" && (signed.Signer != signer || signed.Commit.String() != s.commit):
		t.Errorf("%+v, want %s", signed, signer)
	case want != "" && (err == nil || !strings.HasPrefix(err.Error(), tag+": "+want)):
		t.Errorf("%v\nwant %s: %s", err, tag, want)
	case want != "" && release.ExitCode(err) != release.ExitRefused:
		t.Errorf("exit %d of %v", release.ExitCode(err), err)
	}
	good, said := s.gitSays(tag, allowed)
	if good != (want == "" || stricter) {
		t.Errorf("git verify-tag says %t:\n%s\nrel says: %v", good, said, err)
	}
}

var signedAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestVerifySSH(t *testing.T) {
	t.Setenv("TZ", "UTC") // of the ssh-keygen that git calls
	s := newSigning(t)
	s.key("rsa", "-t", "rsa", "-b", "2048")
	s.key("ecdsa", "-t", "ecdsa")
	for _, key := range []string{"dana", "rsa", "ecdsa"} {
		s.sign(key, key, signedAt)
	}
	dana := s.pub("dana")
	for _, c := range []struct{ name, tag, line, signer, want string }{
		{"plain", "dana", "dana@example.org " + dana, "dana@example.org", ""},
		{"rsa", "rsa", "dana@example.org " + s.pub("rsa"), "dana@example.org", ""},
		{"ecdsa", "ecdsa", "dana@example.org " + s.pub("ecdsa"), "dana@example.org", ""},
		{"comment", "dana", "# who may\n\n  # release\n\tdana@example.org\t" + dana + " her key", "dana@example.org", ""},
		{"no comment", "dana", "dana@example.org " + strings.Join(strings.Fields(dana)[:2], " "), "dana@example.org", ""},
		{"quoted principal", "dana", `"dana@example.org" ` + dana, "dana@example.org", ""},
		{"several principals", "dana", "*@example.net,dana@example.net,d@example.org " + dana, "dana@example.net", ""},
		{"the tagger's own", "dana", "dana@example.org,*@example.org " + dana, "a@example.org", ""},
		{"wildcard", "dana", "*@example.net " + dana, "*@example.net", ""},
		{"namespace", "dana", `dana@example.org namespaces="git" ` + dana, "dana@example.org", ""},
		{"namespaces", "dana", `dana@example.org namespaces="file,g?t*" ` + dana, "dana@example.org", ""},
		{"NAMESPACES", "dana", `dana@example.org NAMESPACES="git" ` + dana, "dana@example.org", ""},
		{"at the first second", "dana", `d@x valid-after="20260301120000Z" ` + dana, "d@x", ""},
		{"at the last second", "dana", `d@x valid-before="20260301120000Z" ` + dana, "d@x", ""},
		{"between", "dana", `d@x valid-after="20260301Z",valid-before="20260302Z",namespaces="git" ` + dana, "d@x", ""},
		{"second line", "dana", `d@x valid-before="20260101Z" ` + dana + "\nother@x " + dana, "other@x", ""},

		{"unknown", "dana", "eve@example.org " + s.pub("eve"), "", "signed by an unknown signer: ssh-ed25519 SHA256:"},
		{"empty", "dana", "# nobody", "", "signed by an unknown signer: ssh-ed25519 SHA256:"},
		{"expired", "dana", `d@x valid-before="20260301115959Z" ` + dana, "", "signed with an expired key: d@x's key was valid until 2026-03-01T11:59:59Z, and the tag is of 2026-03-01T12:00:00Z"},
		{"expired, in minutes", "dana", `d@x valid-before="202603011159Z" ` + dana, "", "signed with an expired key"},
		{"not yet valid", "dana", `d@x valid-after="20260301120001Z" ` + dana, "", "signed with a key that was not yet valid: d@x's key is from 2026-03-01T12:00:01Z"},
		{"other namespace", "dana", `d@x namespaces="file" ` + dana, "", `signed in the wrong namespace: the key of d@x is only for "file"`},
		{"namespace taken out", "dana", `d@x namespaces="*,!git" ` + dana, "", "signed in the wrong namespace"},
		{"authority, no certificate", "dana", `d@x cert-authority ` + dana, "", "signed by an unknown signer"},
	} {
		t.Run(c.name, func(t *testing.T) { s.agree(t, c.tag, s.signers(c.line), "", c.signer, c.want) })
	}
}

// What is in the file is the same for all of these; it is the tag that is not as it should be.
func TestVerifyTags(t *testing.T) {
	t.Setenv("TZ", "UTC")
	s := newSigning(t)
	s.sign("v1", "dana", signedAt)
	object := s.object("v1")
	payload, signature, _ := strings.Cut(object, "-----BEGIN")
	signature = "-----BEGIN" + signature
	inNamespace := func(namespace, text string) string {
		file := filepath.Join(t.TempDir(), "text")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.run("ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", s.private("dana"), file)
		data, err := os.ReadFile(file + ".sig")
		if err != nil {
			t.Fatal(err)
		}
		return text + string(data)
	}
	compat := "gpgsig-sha256 -----BEGIN SSH SIGNATURE-----\n abc\n -----END SSH SIGNATURE-----\n"
	s.git("tag", "light")
	s.git("tag", "-a", "-m", "not signed", "unsigned")
	blob := s.git("hash-object", "-w", "file")
	for _, c := range []struct{ tag, object, want string }{
		{"v1", "", ""},
		{"light", "", "not signed: a lightweight tag"},
		{"unsigned", "", "not signed"},
		{"v2", object, "+replayed: the signed tag is called v1"},
		{"changed", strings.Replace(object, "tag v1\n", "tag changed\n", 1), "wrongly signed: the signature of ssh-ed25519 SHA256:"},
		{"message", strings.Replace(object, "\n\nv1\n", "\n\nv2\n", 1), "wrongly signed"},
		{"commit", strings.Replace(object, s.commit, blob, 1), "wrongly signed"},
		{"file", inNamespace("file", payload), `signed in the wrong namespace: "file", where git signs in "git"`},
		{"cut", payload + signature[:len(signature)/2] + "\n", "wrongly signed: its signature has no end"},
		{"noise", payload + "-----BEGIN SSH SIGNATURE-----\nnoise\n-----END SSH SIGNATURE-----\n", "wrongly signed: its SSH signature cannot be read"},
		{"smime", payload + "-----BEGIN SIGNED MESSAGE-----\nabc\n-----END SIGNED MESSAGE-----\n", `signed as "SIGNED MESSAGE", which rel cannot check`},
		{"pgp", payload + "-----BEGIN PGP SIGNATURE-----\n\nabc=\n-----END PGP SIGNATURE-----\n", "wrongly signed: its OpenPGP signature cannot be read"},
		{"after", object + "deploy me\n", "+wrongly signed: there is text after its signature"},
		{"twice", object + signature, "wrongly signed"},
		{"v1", strings.Replace(object, "tagger ", compat+"tagger ", 1), ""},
		{"v1", strings.Replace(object, "\n\n", "\n"+compat+"gpgsig "+strings.TrimPrefix(compat, "gpgsig-sha256 ")+"\n", 1), "its header is not as git writes it"},
		{"blob", inNamespace("git", strings.NewReplacer(s.commit, blob, "type commit", "type blob", "tag v1", "tag blob").Replace(payload)), "+the signed tag names a blob, not a commit"},
		{"two", inNamespace("git", strings.Replace(payload, "tag v1\n", "tag v1\ntag two\n", 1)), "+its header is not as git writes it"},
		{"tagged", inNamespace("git", strings.Replace(payload, "tag v1\n", "tag tagged\n", 1)), ""},
		{"timeless", inNamespace("git", strings.Replace(payload[:strings.Index(payload, "tagger")], "tag v1", "tag timeless", 1)+"\nno tagger\n"), "its header is not as git writes it"},
	} {
		if c.object != "" {
			s.raw(c.tag, c.object)
		}
		t.Run(c.tag, func(t *testing.T) {
			s.agree(t, c.tag, s.signers(`dana@example.org namespaces="git" `+s.pub("dana")), "", "dana@example.org", c.want)
		})
	}
	s.sign("outer", "dana", signedAt, "--force")
	s.now = signedAt
	s.git("tag", "--sign", "-m", "nested", "nested", "outer")
	s.agree(t, "nested", s.signers("dana@example.org "+s.pub("dana")), "", "dana@example.org", "")
	if _, err := s.verdict("nested", "", ""); err == nil || !strings.Contains(err.Error(), "sign.allowed_signers is not set") {
		t.Error(err)
	}
}

func TestVerifyCertificates(t *testing.T) {
	t.Setenv("TZ", "UTC")
	s := newSigning(t)
	s.key("ca", "-t", "ed25519")
	s.key("other", "-t", "ed25519")
	certify := func(name, ca string, args ...string) {
		s.key(name, "-t", "ed25519")
		s.run("ssh-keygen", append(append([]string{"-q", "-s", s.private(ca), "-I", name}, args...), s.private(name)+".pub")...)
		if err := os.Rename(s.private(name)+"-cert.pub", s.private(name)+".pub"); err != nil {
			t.Fatal(err)
		}
		s.sign(name, name, signedAt)
	}
	march := "20260301000000Z:20260302000000Z"
	certify("good", "ca", "-n", "other@x,dana@example.org", "-V", march)
	certify("forever", "ca", "-n", "dana@example.org")
	certify("nobody", "ca", "-V", march)
	certify("stranger", "ca", "-n", "dana@example.net", "-V", march)
	certify("late", "ca", "-n", "dana@example.org", "-V", "20260201000000Z:20260301120000Z")
	certify("early", "ca", "-n", "dana@example.org", "-V", "20260301120001Z:20260302000000Z")
	certify("else", "other", "-n", "dana@example.org", "-V", march)
	certify("host", "ca", "-h", "-n", "dana@example.org", "-V", march)
	certify("critical", "ca", "-n", "dana@example.org", "-O", "critical:rel@example.org=x")
	file := s.signers(`*@example.org cert-authority,namespaces="git" `+s.pub("ca"), `*@x cert-authority,valid-before="20260101Z" `+s.pub("ca"))
	for _, c := range []struct{ tag, want string }{
		{"good", ""},
		{"forever", ""},
		{"nobody", "signed by an unknown signer: the names of ssh-ed25519 SHA256:"},
		{"stranger", "signed by an unknown signer"},
		{"late", "signed with an expired key: dana@example.org's certificate was valid until 2026-03-01T11:59:59Z"},
		{"early", "signed with a key that was not yet valid: dana@example.org's certificate"},
		{"else", "signed by an unknown signer: ssh-ed25519 SHA256:"},
		{"host", "signed with a host's certificate"},
		{"critical", "+wrongly signed: ssh: unsupported critical option"},
	} {
		t.Run(c.tag, func(t *testing.T) { s.agree(t, c.tag, file, "", "dana@example.org", c.want) })
	}
}

func TestVerifySHA256(t *testing.T) {
	t.Setenv("TZ", "UTC")
	s := newSigning(t, "--object-format=sha256")
	s.sign("v1", "dana", signedAt)
	file := s.signers("dana@example.org " + s.pub("dana"))
	s.agree(t, "v1", file, "", "dana@example.org", "")
	s.raw("v2", s.object("v1"))
	s.agree(t, "v2", file, "", "", "+replayed: the signed tag is called v1")
}

// Every byte of a signed tag counts.
func TestVerifyNoByteMayChange(t *testing.T) {
	s := newSigning(t)
	s.sign("v1", "dana", signedAt)
	payload, signature := splitSigned([]byte(s.object("v1")))
	trust, err := NewTrust(trustFile(t, s.signers("dana@example.org "+s.pub("dana"))), TrustFile{})
	if err != nil {
		t.Fatal(err)
	}
	said, err := parseSigned(payload)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := trust.check(payload, signature, said.tagger); err != nil {
		t.Fatal(err)
	}
	for i := range payload {
		changed := append([]byte{}, payload...)
		changed[i] ^= 1
		if _, _, err := trust.check(changed, signature, said.tagger); err == nil {
			t.Errorf("byte %d may change: %q", i, changed)
		}
	}
}

// FuzzSplitSigned cuts what is no tag: nothing may be lost or made up, but for the headers that are left out.
func FuzzSplitSigned(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "object x\n\ntext\n", "object x\ngpgsig a\n b\ntag y\n\ntext\n-----BEGIN SSH SIGNATURE-----\na\n-----END SSH SIGNATURE-----\n",
		"gpgsig-sha256 a\n b", "-----BEGIN PGP SIGNATURE-----", "a\n-----BEGIN PGP MESSAGE-----\n-----BEGIN SIGNED MESSAGE-----\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		payload, signature := splitSigned(raw)
		if len(payload)+len(signature) > len(raw) || !strings.HasSuffix(string(raw), string(signature)) {
			t.Fatalf("%q: %q and %q", raw, payload, signature)
		}
		if signature == nil {
			return
		}
		_, _ = wholeBlock(signature)
		_, _ = parseSigned(payload)
		_, _ = parseSSH(signature)
		_, _, _ = parsePGP(signature)
	})
}
