package objects

import (
	"container/list"
	"sync"
)

// cache keeps objects of packs that deltas are likely to be based on, the last used longest, within a limit of bytes.
type cache struct {
	mu    sync.Mutex
	limit int64 // bytes
	used  int64
	order list.List // of *cached, the last used first
	at    map[place]*list.Element
}

// place is where an object begins.
type place struct {
	pack   int
	offset int64
}

type cached struct {
	place
	kind Kind
	data []byte
}

// overhead is what an entry takes besides its data, about.
const overhead = 200

func (c *cache) get(p place) (Kind, []byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.at[p]
	if !ok {
		return 0, nil, false
	}
	c.order.MoveToFront(e)
	v := e.Value.(*cached)
	return v.kind, v.data, true
}

// put keeps data, which nobody may change from now on.
func (c *cache) put(p place, kind Kind, data []byte) {
	size := int64(len(data)) + overhead
	if size > c.limit/4 {
		return // it would push out too much that is useful
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.at[p]; ok {
		return
	}
	if c.at == nil {
		c.at = map[place]*list.Element{}
	}
	c.at[p] = c.order.PushFront(&cached{p, kind, data})
	c.used += size
	for c.used > c.limit {
		e := c.order.Back()
		v := c.order.Remove(e).(*cached)
		delete(c.at, v.place)
		c.used -= int64(len(v.data)) + overhead
	}
}

func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.order.Init()
	c.at, c.used = nil, 0
}
