package gitrepo

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// check finds the signer of an OpenPGP signature over payload. A key must have been valid both at the tag's time and when the
// signature says it was made, which is a little later.
func (f keyringFile) check(payload, signature []byte, tagger objects.Signature) (signer, key string, err error) {
	sig, body, err := parsePGP(signature)
	if err != nil {
		return "", "", wronglySigned(fmt.Errorf("its OpenPGP signature %w", err))
	}
	key = fmt.Sprintf("OpenPGP %016X", *sig.IssuerKeyId)
	if f.path == "" {
		return "", "", refusedTag("signed by an unknown signer: %s, and sign.keyring is not set", key).
			Hint("sign.keyring in rel.toml names a file of OpenPGP keys")
	}
	at := tagger.When
	if sig.CreationTime.After(at) {
		at = sig.CreationTime
	}
	config := &packet.Config{Time: func() time.Time { return at }}
	_, entity, err := openpgp.VerifyDetachedSignature(f.keys, bytes.NewReader(payload), bytes.NewReader(body), config)
	switch {
	case errors.Is(err, pgperrors.ErrUnknownIssuer):
		return "", "", refusedTag("signed by an unknown signer: %s is not in %s", key, f.path).
			Hint("if it is to be trusted: gpg --export --armor %016X >> %s", *sig.IssuerKeyId, f.path)
	case entity == nil:
		return "", "", wronglySigned(fmt.Errorf("the signature of %s is not of what the tag says: %w", key, err))
	}
	signer = cmp.Or(addressOf(entity), key)
	for _, one := range f.keys.KeysByIdUsage(*sig.IssuerKeyId, packet.KeyFlagSign) {
		if one.Entity != entity {
			continue
		}
		if err := judgeKey(one, sig, err, at, tagger.When); err != nil {
			return "", "", release.Errorf(release.ExitCode(err), "%w (%s of %s in %s)", err, key, signer, f.path)
		}
	}
	return signer, key, nil
}

// judgeKey is whether the key was valid at that time, given what the verification of the signature said about that. A self-signature
// that is younger than the tag is none of the errors: a key that has been extended since has only that one left.
func judgeKey(key openpgp.Key, sig *packet.Signature, verdict error, at, tagged time.Time) error {
	self := key.SelfSignature
	all := []*packet.Signature{sig, self, self.EmbeddedSignature}
	primary, _ := key.Entity.PrimarySelfSignature()
	switch {
	case len(key.Entity.Revocations)+len(key.Revocations) > 0, errors.Is(verdict, pgperrors.ErrKeyRevoked):
		return refusedTag("signed with a revoked key")
	case key.PublicKey.CreationTime.After(tagged):
		return validAt("it", key.PublicKey.CreationTime, time.Time{}, tagged)
	case errors.Is(verdict, pgperrors.ErrKeyExpired), slices.ContainsFunc(append(all, primary), lapsed(at)):
		return refusedTag("signed with an expired key: the tag is of %s", stamp(tagged))
	case verdict != nil && !errors.Is(verdict, pgperrors.ErrSignatureExpired):
		return wronglySigned(verdict)
	}
	return nil
}

// lapsed is whether a signature had an end of its own, and at is after that.
func lapsed(at time.Time) func(*packet.Signature) bool {
	return func(sig *packet.Signature) bool {
		if sig == nil || sig.SigLifetimeSecs == nil || *sig.SigLifetimeSecs == 0 {
			return false
		}
		return at.After(sig.CreationTime.Add(time.Duration(*sig.SigLifetimeSecs) * time.Second))
	}
}

// parsePGP reads an armoured signature, which must be one, over bytes as they are: of several Git takes none either.
func parsePGP(signature []byte) (*packet.Signature, []byte, error) {
	var body []byte
	block, err := armor.Decode(bytes.NewReader(signature))
	if err == nil {
		body, err = io.ReadAll(block.Body)
	}
	packets := packet.NewReader(bytes.NewReader(body))
	var first packet.Packet
	if err == nil {
		first, err = packets.Next()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot be read: %w", err)
	}
	sig, ok := first.(*packet.Signature)
	if !ok || sig.IssuerKeyId == nil {
		return nil, nil, errors.New("does not say whose it is")
	}
	if sig.Hash.Size() < sha256.Size {
		return nil, nil, fmt.Errorf("is by %s, which is too weak", sig.Hash)
	}
	if sig.SigType != packet.SigTypeBinary {
		return nil, nil, errors.New("is of a text, not of bytes")
	}
	if _, err := packets.Next(); !errors.Is(err, io.EOF) {
		return nil, nil, errors.New("is more than one")
	}
	return sig, body, nil
}

// addressOf is the mail address of a key's owner, else the name.
func addressOf(entity *openpgp.Entity) string {
	if entity == nil {
		return ""
	}
	identity := entity.PrimaryIdentity()
	if identity == nil {
		return ""
	}
	return cmp.Or(identity.UserId.Email, identity.UserId.Name, identity.Name)
}
