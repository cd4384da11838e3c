package gitrepo

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// soundFormats are the ways to sign that are trusted: all that OpenSSH makes today, and neither DSA nor RSA with SHA-1.
func soundFormats() []string {
	return []string{
		ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKECDSA256,
		ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512,
	}
}

// check finds the signer of an SSH signature over payload: as ssh-keygen -Y verify does, at the tag's own time.
func (f signersFile) check(payload, signature []byte, tagger objects.Signature) (signer, key string, err error) {
	sig, err := parseSSH(signature)
	if err != nil {
		return "", "", wronglySigned(err)
	}
	if sig.Namespace != signNamespace {
		return "", "", refusedTag("signed in the wrong namespace: %q, where git signs in %q", sig.Namespace, signNamespace)
	}
	if err := sshsig.Verify(bytes.NewReader(payload), sig, sig.PublicKey, sig.HashAlgorithm, signNamespace); err != nil {
		return "", "", wronglySigned(fmt.Errorf("the signature of %s is not of what the tag says: %w", keyName(sig.PublicKey), err))
	}
	if f.path == "" {
		return "", "", refusedTag("signed by an unknown signer: %s, and sign.allowed_signers is not set", keyName(sig.PublicKey)).
			Hint("sign.allowed_signers in rel.toml names a file of SSH keys")
	}
	signer, err = f.find(sig.PublicKey, tagger)
	return signer, keyName(sig.PublicKey), err
}

func parseSSH(signature []byte) (*sshsig.Signature, error) {
	block, _ := pem.Decode(signature)
	if block == nil || block.Type != blockSSH || len(block.Headers) > 0 {
		return nil, errors.New("its SSH signature cannot be read")
	}
	sig, err := sshsig.ParseSignature(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("its SSH signature cannot be read: %w", err)
	}
	if !slices.Contains(soundFormats(), sig.Signature.Format) {
		return nil, fmt.Errorf("%s is too weak", sig.Signature.Format)
	}
	return sig, nil
}

// keyName is a key as ssh-keygen -l shows it; of a certificate the key in it.
func keyName(key ssh.PublicKey) string {
	if cert, ok := key.(*ssh.Certificate); ok {
		key = cert.Key
	}
	return key.Type() + " " + ssh.FingerprintSHA256(key)
}

// find is the principal that the key belongs to by a line that allows it. Where none does, the error is that of the first line
// that has the key.
func (f signersFile) find(key ssh.PublicKey, tagger objects.Signature) (string, error) {
	var first error
	for _, line := range f.lines {
		if !line.has(key) {
			continue
		}
		principal, err := line.allows(key, tagger)
		if err == nil {
			return principal, nil
		}
		if first == nil {
			first = release.Errorf(release.ExitCode(err), "%w (%s:%d)", err, f.path, line.number)
		}
	}
	if first != nil {
		return "", first
	}
	e := refusedTag("signed by an unknown signer: %s is not in %s", keyName(key), f.path)
	if cert, ok := key.(*ssh.Certificate); ok {
		return "", e.Hint("the certificate is of the authority %s", keyName(cert.SignatureKey))
	}
	return "", e.Hint("if it is to be trusted, its line is: NAME namespaces=\"git\" %s", bytes.TrimSpace(ssh.MarshalAuthorizedKey(key)))
}

// has is whether the line is about this key, or about the authority that certifies it.
func (l signerLine) has(key ssh.PublicKey) bool {
	if cert, ok := key.(*ssh.Certificate); ok && l.authority {
		key = cert.SignatureKey
	} else if l.authority {
		return false
	}
	return bytes.Equal(l.key.Marshal(), key.Marshal())
}

// allows is the principal as whom the line allows the key to sign tags at the tagger's time.
func (l signerLine) allows(key ssh.PublicKey, tagger objects.Signature) (string, error) {
	names := l.principals.names()
	cert, certified := key.(*ssh.Certificate)
	certified = certified && l.authority
	if certified {
		names = cert.ValidPrincipals
	}
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !l.principals.matches(name) })
	principal, ok := l.nameOf(names, tagger.Email, certified)
	switch {
	case !ok:
		return "", refusedTag("signed by an unknown signer: the names of %s are not among the principals", keyName(key))
	case l.namespaces != nil && !l.namespaces.matches(signNamespace):
		return "", refusedTag("signed in the wrong namespace: the key of %s is only for %q", principal, l.namespaces.text())
	}
	if err := validAt(principal+"'s key", l.after, l.before, tagger.When); err != nil {
		return "", err
	}
	if certified {
		return principal, certifies(cert, principal, tagger.When)
	}
	return principal, nil
}

// nameOf is the name to show of those that the line allows: the tagger's own, where it is one of them, else the first.
func (l signerLine) nameOf(names []string, email string, certified bool) (string, bool) {
	if len(names) == 0 {
		return "", false
	}
	if slices.Contains(names, email) || email != "" && !certified && l.principals.matches(email) {
		return email, true
	}
	return names[0], true
}

// validAt judges a key by the times that it is valid at, both included; a zero time is no limit.
func validAt(whose string, after, before, at time.Time) error {
	if !after.IsZero() && at.Before(after) {
		return refusedTag("signed with a key that was not yet valid: %s is from %s, and the tag is of %s", whose, stamp(after), stamp(at))
	}
	if !before.IsZero() && at.After(before) {
		return refusedTag("signed with an expired key: %s was valid until %s, and the tag is of %s", whose, stamp(before), stamp(at))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// certifies is whether an authority that is trusted has certified the key for this principal, at the tag's time.
func certifies(cert *ssh.Certificate, principal string, at time.Time) error {
	if cert.CertType != ssh.UserCert {
		return refusedTag("signed with a host's certificate, where a user's is needed")
	}
	if !slices.Contains(soundFormats(), cert.Signature.Format) {
		return refusedTag("signed with a certificate whose own signature is too weak: %s", cert.Signature.Format)
	}
	var after, before time.Time
	if cert.ValidAfter > 0 {
		after = certTime(cert.ValidAfter)
	}
	if cert.ValidBefore != ssh.CertTimeInfinity {
		before = certTime(cert.ValidBefore).Add(-time.Second) // a certificate's end is not part of it
	}
	if err := validAt(principal+"'s certificate", after, before, at); err != nil {
		return err
	}
	checker := ssh.CertChecker{Clock: func() time.Time { return at }}
	if err := checker.CheckCert(principal, cert); err != nil {
		return wronglySigned(err)
	}
	return nil
}

// certTime is a certificate's time, which may be beyond what a time can be.
func certTime(seconds uint64) time.Time { return time.Unix(int64(min(seconds, 1<<40)), 0) }
