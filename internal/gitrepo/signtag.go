package gitrepo

import (
	"bytes"
	"errors"
	"strings"

	"github.com/git-rel/rel/internal/objects"
)

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
