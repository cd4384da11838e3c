package gitrepo

import (
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
