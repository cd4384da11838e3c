package gitrepo

import (
	"context"
	"errors"
	"strings"

	"github.com/git-rel/rel/internal/objects"
)

// HoldsTag tells whether a tag was fetched before; "" asks for any.
func (m Mirror) HoldsTag(tag string) (bool, error) {
	return m.holds(func(store *objects.Store) (bool, error) {
		if tag == "" {
			refs, err := store.Refs(tagPrefix)
			return len(refs) > 0, err
		}
		_, err := store.Ref(tagPrefix + tag)
		return err == nil, err
	})
}

// FetchTags fetches one tag, its history and the tags in that; for "" all tags. The mirror's are then as the remote's: what was moved
// there is moved here, and what is gone there is gone.
func (m Mirror) FetchTags(ctx context.Context, tag string) error {
	if tag != "" && !validTagName(tag) {
		return nil // no repository has it, as Resolve will say
	}
	ctx, cancel := context.WithTimeoutCause(ctx, m.Timeout, m.late())
	defer cancel()
	if err := m.prepare(ctx, objects.SHA1); err != nil {
		return err
	}
	err := m.fetchTags(ctx, tag)
	if held, heldErr := m.HoldsTag(""); held || heldErr != nil || !otherFormat(err) {
		return err
	}
	if err := m.Remove(); err != nil { // nothing was fetched yet: the next is of the remote's format
		return err
	}
	if err := m.prepare(ctx, objects.SHA256); err != nil {
		return err
	}
	return m.fetchTags(ctx, tag)
}

func (m Mirror) fetchTags(ctx context.Context, tag string) error {
	if tag == "" {
		return m.fetch(ctx, []string{"--prune"}, "+"+tagPrefix+"*:"+tagPrefix+"*")
	}
	err := m.fetch(ctx, nil, "+"+tagPrefix+tag+":"+tagPrefix+tag)
	if says(err, "couldn't find remote ref") {
		return m.git(ctx, "update-ref", "-d", tagPrefix+tag)
	}
	return err
}

// otherFormat tells whether git ended since the remote's objects have names of another kind. The second is of protocol 0, as over an
// sshd that lets no GIT_PROTOCOL through.
func otherFormat(err error) bool {
	return says(err, "mismatched algorithms") || says(err, "Server does not support this repository's object format")
}

// says tells whether git ended with these words.
func says(err error, words string) bool {
	e, ok := errors.AsType[*gitError](err)
	return ok && strings.Contains(e.text, words)
}
