package gitrepo

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/git-rel/rel/internal/release"
)

// keyringFile is a file of OpenPGP public keys.
type keyringFile struct {
	path string
	keys openpgp.EntityList // each once
}

// parseKeyring reads what gpg --export wrote, with --armor or without; several exports of one kind may stand in a file. A file with a
// key that cannot be read is refused as a whole: it may be the copy that revokes another.
func parseKeyring(file TrustFile) (keyringFile, error) {
	f := keyringFile{path: file.Path}
	if file.Path == "" {
		return f, nil
	}
	var err error
	if bytes.Contains(file.Data, []byte(begin+openpgp.PublicKeyType+dashes)) {
		f.keys, err = armouredKeys(file.Data)
	} else {
		f.keys, err = readKeys(bytes.NewReader(file.Data))
	}
	if err == nil && len(f.keys) == 0 {
		err = errors.New("it holds no key")
	}
	if err != nil {
		return f, release.Errorf(release.ExitError, "%s: not a keyring that can be read: %w", file.Path, err).
			Hint("gpg --export --armor KEY... > %s makes one", file.Path)
	}
	f.keys = joinCopies(f.keys)
	return f, nil
}

func armouredKeys(data []byte) (openpgp.EntityList, error) {
	if !utf8.Valid(data) { // what is not armour would be passed over as a comment
		return nil, errors.New("it holds armoured and binary exports")
	}
	var all openpgp.EntityList
	in := bufio.NewReader(bytes.NewReader(data))
	for {
		block, err := armor.Decode(in)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if block.Type != openpgp.PublicKeyType {
			return nil, fmt.Errorf("a %q stands where a public key is wanted", block.Type)
		}
		keys, err := readKeys(block.Body)
		if err != nil {
			return nil, err
		}
		all = append(all, keys...)
	}
}

// readKeys reads keys one after the other. Unlike openpgp.ReadKeyRing it leaves out none that it cannot read.
func readKeys(in io.Reader) (openpgp.EntityList, error) {
	var all openpgp.EntityList
	packets := packet.NewReader(in)
	for {
		first, err := packets.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		packets.Unread(first)
		key, err := openpgp.ReadEntity(packets)
		if err != nil {
			if public, ok := first.(*packet.PublicKey); ok {
				err = fmt.Errorf("key %X: %w", public.Fingerprint, err)
			}
			return nil, err
		}
		all = append(all, key)
	}
}

// joinCopies makes one of all copies of a key, as exports of different times have them: what revokes it in one revokes it, and of what
// was signed anew the youngest counts, as within one copy.
func joinCopies(keys openpgp.EntityList) openpgp.EntityList {
	var all openpgp.EntityList
	for _, key := range keys {
		i := slices.IndexFunc(all, func(e *openpgp.Entity) bool { return sameKey(e.PrimaryKey, key.PrimaryKey) })
		if i < 0 {
			all = append(all, key)
			continue
		}
		joinCopy(all[i], key)
	}
	return all
}

// joinCopy adds what another copy of a key says of it.
func joinCopy(key, other *openpgp.Entity) {
	key.Revocations = append(key.Revocations, other.Revocations...)
	key.SelfSignature = youngest(key.SelfSignature, other.SelfSignature)
	for name, identity := range other.Identities {
		known, ok := key.Identities[name]
		if !ok {
			key.Identities[name] = identity
			continue
		}
		known.Revocations = append(known.Revocations, identity.Revocations...)
		known.SelfSignature = youngest(known.SelfSignature, identity.SelfSignature)
	}
	for _, subkey := range other.Subkeys {
		i := slices.IndexFunc(key.Subkeys, func(s openpgp.Subkey) bool { return sameKey(s.PublicKey, subkey.PublicKey) })
		if i < 0 {
			key.Subkeys = append(key.Subkeys, subkey)
			continue
		}
		known := &key.Subkeys[i]
		known.Revocations = append(known.Revocations, subkey.Revocations...)
		known.Sig = youngest(known.Sig, subkey.Sig)
	}
}

func sameKey(a, b *packet.PublicKey) bool { return bytes.Equal(a.Fingerprint, b.Fingerprint) }

// youngest is the signature that was made last; nil is none.
func youngest(a, b *packet.Signature) *packet.Signature {
	if a == nil || b != nil && b.CreationTime.After(a.CreationTime) {
		return b
	}
	return a
}
