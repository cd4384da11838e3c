package gitrepo

import (
	"bytes"
	"errors"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// signNamespace is what git signs in: a signature that was made for files or mail is none of a tag.
const signNamespace = "git"

// maxSigner bounds a signer's name, in bytes: it is kept in the journal and in manifests.
const maxSigner = 200

// ErrUnsigned is of a tag without any signature, an annotated or a lightweight one.
var ErrUnsigned = errors.New("not signed")

// Trust is who may sign tags.
type Trust struct {
	signers signersFile
	keyring keyringFile
}

// TrustFile is a file that names signers. An empty Path is none.
type TrustFile struct {
	Path string
	Data []byte
}

// NewTrust reads ssh-keygen's allowed_signers and an OpenPGP keyring, armoured or binary. A line or a keyring that it does not
// wholly understand is an error that names it: nobody is to be trusted by half of what was meant.
func NewTrust(allowedSigners, keyring TrustFile) (*Trust, error) {
	signers, err := parseSigners(allowedSigners)
	if err != nil {
		return nil, err
	}
	keys, err := parseKeyring(keyring)
	if err != nil {
		return nil, err
	}
	return &Trust{signers: signers, keyring: keys}, nil
}

// Signed is a tag whose signature is that of somebody trusted.
type Signed struct {
	Signer string     // "dana@example.org": the principal of allowed_signers, or the address of the OpenPGP key
	Key    string     // "ssh-ed25519 SHA256:…" or "OpenPGP 0123…"
	When   time.Time  // the tagger's time: when the key had to be valid
	Commit objects.ID // what the signed tag names in the end
}

// Verify is git verify-tag and more: the object that ref, refs/tags/NAME, has or is to have is a tag, signed over its own bytes by
// somebody trusted with a key that was valid at the tag's time; it is called NAME itself, so that no older signed tag can stand in
// for it; and it leads to a commit. What it says of a tag is read from the signed bytes alone. Each way to be refused is an error
// of its own, exit 3.
func (t *Trust) Verify(store *objects.Store, ref string, id objects.ID) (Signed, error) {
	name, ok := strings.CutPrefix(ref, tagPrefix)
	if !ok {
		return Signed{}, release.Errorf(release.ExitRefused, "%s: not a tag, and only a tag can be signed", ref)
	}
	signed, err := t.verify(store, name, id)
	if err != nil {
		return Signed{}, wrapf(err, "%s", name)
	}
	return signed, nil
}

func (t *Trust) verify(store *objects.Store, name string, id objects.ID) (Signed, error) {
	kind, _, err := store.Header(id)
	if err != nil {
		return Signed{}, err
	}
	if kind != objects.KindTag {
		return Signed{}, refusedTag("%w: a lightweight tag, which has no room for a signature", ErrUnsigned).Hint("rel cut --sign makes a signed tag")
	}
	object, err := store.Tag(id)
	if err != nil {
		return Signed{}, err
	}
	payload, signature := splitSigned(object.Raw)
	if signature == nil {
		return Signed{}, refusedTag("%w", ErrUnsigned).Hint("rel cut --sign makes a signed tag")
	}
	said, err := parseSigned(payload)
	if err != nil {
		return Signed{}, err
	}
	signed := Signed{When: said.tagger.When}
	if signed.Signer, signed.Key, err = t.check(payload, signature, said.tagger); err != nil {
		return Signed{}, err
	}
	if said.Name != name {
		return Signed{}, refusedTag("replayed: the signed tag is called %s", said.Name).
			Hint("it was signed for that name; cut a new tag for this one")
	}
	signed.Commit, err = leadsTo(store, said.Object)
	return signed, err
}

// check finds out who has signed payload.
func (t *Trust) check(payload, signature []byte, tagger objects.Signature) (signer, key string, err error) {
	switch block, err := wholeBlock(signature); {
	case err != nil:
		return "", "", err
	case block == blockSSH:
		signer, key, err = t.signers.check(payload, signature, tagger)
		return shortened(signer), key, err
	case block == blockPGP:
		signer, key, err = t.keyring.check(payload, signature, tagger)
		return shortened(signer), key, err
	default:
		return "", "", refusedTag("signed as %q, which rel cannot check", block).
			Hint("git config gpg.format ssh, or openpgp, in the repository where tags are made")
	}
}

// leadsTo is the commit that a signed tag names, by way of further tags if need be: their ids are part of what was signed.
func leadsTo(store *objects.Store, id objects.ID) (objects.ID, error) {
	commit, err := store.Peel(id)
	if err != nil {
		return commit, err
	}
	kind, _, err := store.Header(commit)
	if err == nil && kind != objects.KindCommit {
		err = refusedTag("the signed tag names a %s, not a commit", kind)
	}
	return commit, err
}

// refusedTag is the refusal of a tag, whose name Verify puts before it.
func refusedTag(format string, args ...any) *release.Error {
	return release.Errorf(release.ExitRefused, format, args...)
}

// wronglySigned is for a signature that cannot be what the signer made.
func wronglySigned(cause error) *release.Error {
	return refusedTag("wrongly signed: %w", cause).Hint("git verify-tag says more; the tag must be made anew")
}

// shortened makes a name fit to be kept and shown: one line, and not too long.
func shortened(name string) string {
	name = strings.ToValidUTF8(strings.Map(func(c rune) rune {
		if hidden(c) {
			return ' '
		}
		return c
	}, name), "")
	for len(name) > maxSigner {
		name = strings.ToValidUTF8(name[:maxSigner], "")
	}
	return name
}

// The kinds of signature that git knows, as their first lines name them.
const (
	blockSSH = "SSH SIGNATURE"
	blockPGP = "PGP SIGNATURE"
)

func signatureBlocks() []string {
	return []string{blockSSH, blockPGP, "PGP MESSAGE", "SIGNED MESSAGE"}
}

const begin, end, dashes = "-----BEGIN ", "-----END ", "-----"

// splitSigned cuts a tag object into what was signed and the signature, as git does: the signature begins with the last line that
// can be the first of one, and a signature in the header is that of the same tag under the other hash. nil for no signature.
func splitSigned(raw []byte) (payload, signature []byte) {
	at, match := 0, -1
	for line := range bytes.Lines(raw) {
		for _, block := range signatureBlocks() {
			if bytes.HasPrefix(line, []byte(begin+block+dashes)) {
				match = at
			}
		}
		at += len(line)
	}
	if match < 0 {
		return raw, nil
	}
	return withoutSignatures(raw[:match]), raw[match:]
}

// withoutSignatures is a tag without the header gpgsig or gpgsig-sha256, which is not part of what is signed. A tag has one of them
// at most.
func withoutSignatures(raw []byte) []byte {
	kept := make([]byte, 0, len(raw))
	dropped, once, at := false, false, 0
	for line := range bytes.Lines(raw) {
		if line[0] == '\n' {
			break
		}
		at += len(line)
		if dropped && line[0] == ' ' {
			continue
		}
		dropped = !once && (bytes.HasPrefix(line, []byte("gpgsig ")) || bytes.HasPrefix(line, []byte("gpgsig-sha256 ")))
		once = once || dropped
		if !dropped {
			kept = append(kept, line...)
		}
	}
	return append(kept, raw[at:]...)
}

// wholeBlock is the kind of a signature that is one armoured block and nothing more. Git takes what comes after it for part of
// it, and nobody has signed that.
func wholeBlock(signature []byte) (string, error) {
	first, _, _ := strings.Cut(string(signature), "\n")
	kind, _, _ := strings.Cut(strings.TrimPrefix(first, begin), dashes)
	_, after, ok := bytes.Cut(signature, []byte(end+kind+dashes))
	if !ok {
		return kind, wronglySigned(errors.New("its signature has no end"))
	}
	if len(bytes.TrimSpace(after)) > 0 {
		return kind, wronglySigned(errors.New("there is text after its signature, which nobody has signed"))
	}
	return kind, nil
}

// said is what a signed tag says.
type said struct {
	Object objects.ID
	Name   string
	tagger objects.Signature
}

// parseSigned reads the signed bytes strictly, with the four headers that git writes and no other: what other programs might read
// otherwise is refused.
func parseSigned(payload []byte) (said, error) {
	head, _, ok := strings.Cut(string(payload), "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(lines) != 4 {
		return said{}, refusedTag("its header is not as git writes it")
	}
	value := make([]string, 4)
	for i, key := range []string{"object ", "type ", "tag ", "tagger "} {
		if value[i], ok = strings.CutPrefix(lines[i], key); !ok {
			return said{}, refusedTag("its header is not as git writes it: there is no %s", strings.TrimSpace(key))
		}
	}
	id, err := objects.ParseID(value[0])
	if err != nil {
		return said{}, refusedTag("%w", err)
	}
	s := said{Object: id, Name: value[2], tagger: objects.ParseSignature(value[3])}
	if s.tagger.When.IsZero() {
		return said{}, refusedTag("it does not say when it was made, and a key is valid at a time")
	}
	return s, nil
}
