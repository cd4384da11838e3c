package journal

import "crypto/sha256"

// resum makes a slot's checksum right again.
func resum(slot []byte) {
	sum := sha256.Sum256(slot[:sumOffset])
	copy(slot[sumOffset:], sum[:])
}
