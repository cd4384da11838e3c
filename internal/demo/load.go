package demo

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// pause is between two requests of one visitor.
const pause = 4 * time.Millisecond

// visitors ask the service all the time and count what they get.
type visitors struct {
	mu     sync.Mutex
	served int
	lost   int
	stop   chan struct{}
	wait   sync.WaitGroup
}

// visit starts n visitors. Each opens a new connection for each request, as new visitors do.
func visit(url string, n int) *visitors {
	v := &visitors{stop: make(chan struct{})}
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for range n {
		v.wait.Go(func() { v.loop(client, url) })
	}
	return v
}

func (v *visitors) loop(client *http.Client, url string) {
	for {
		select {
		case <-v.stop:
			return
		case <-time.After(pause):
		}
		v.count(ask(client, url))
	}
}

// ask is one request; it is served if the whole answer comes.
func ask(client *http.Client, url string) bool {
	response, err := client.Get(url)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err == nil && response.StatusCode == http.StatusOK
}

func (v *visitors) count(served bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if served {
		v.served++
	} else {
		v.lost++
	}
}

// so says how many were served and lost so far.
func (v *visitors) so() (served, lost int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.served, v.lost
}

// end sends the visitors home.
func (v *visitors) end() {
	close(v.stop)
	v.wait.Wait()
}
