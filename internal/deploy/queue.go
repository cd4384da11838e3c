package deploy

import (
	"crypto/rand"
	"errors"

	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/queue"
)

// Enqueue puts a request at the end of the queue and returns it with its key. When it returns without an error the request is on
// the disk, and will become exactly one run, whatever happens to whoever asked for it.
func (s *Site) Enqueue(req Request) (Request, int, error) {
	if err := s.make(req.Command); err != nil {
		return req, 0, err
	}
	rec, _, err := journal.Read(s.Root.State())
	if err != nil && !errors.Is(err, journal.ErrDamaged) { // then a person mends it, and the request waits for that
		return req, 0, err
	}
	req.Key, req.After = rand.Text(), rec.Run.Run
	q, err := queue.Open(s.Root.State())
	if err != nil {
		return req, 0, err
	}
	item, err := q.Put(req.Key, []byte(req.String()))
	return req, item.Number, errors.Join(err, q.Close())
}
