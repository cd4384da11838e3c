package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// load is visitors that ask a server all the time. Each has one connection: half of them a new one for every request, half of
// them one that they keep, as browsers do. When a kept connection turns out to be closed before a byte of the answer has come,
// the request is asked once more on a new one: HTTP lets the server close an idle connection at any time. Any other request
// without a whole answer is lost.
type load struct {
	addr string
	path string
	stop chan struct{}
	wait sync.WaitGroup

	mu      sync.Mutex
	live    string // the release that rel has said to be live; empty while it activates another, and where nobody says
	stale   []string
	fresh   figures
	kept    figures
	answers map[string]int // by release
	gap     time.Duration  // the longest time without an answer
	last    time.Time      // when the last answer came
	lost    []string       // the first few
}

// figures are of one kind of visitors.
type figures struct{ served, lost, again int }

func (f figures) String() string {
	return fmt.Sprintf("%d served, %d lost, %d asked again", f.served, f.lost, f.again)
}

const (
	visitorsOfAKind = 3
	pause           = 10 * time.Millisecond // of a visitor between two requests
	requestTakes    = 30                    // ms: at any time some are being answered, as in a real shop
	answerWithin    = 20 * time.Second
)

func (v *server) load() *load { return v.loadOf(fmt.Sprintf("/shop?ms=%d", requestTakes)) }

// loadOf asks for a path, whose answer begins with the tag that the header names.
func (v *server) loadOf(path string) *load {
	l := &load{addr: v.addr, path: path, stop: make(chan struct{}), answers: map[string]int{}, last: time.Now()}
	for range visitorsOfAKind {
		l.wait.Go(func() { l.visit(false) })
		l.wait.Go(func() { l.visit(true) })
	}
	v.t.Cleanup(l.end)
	return l
}

// end ends the visitors; done twice it does nothing more.
func (l *load) end() {
	l.mu.Lock()
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.mu.Unlock()
	l.wait.Wait()
}

func (l *load) visit(keep bool) {
	c := &visitor{addr: l.addr, path: l.path, keep: keep}
	defer c.close()
	for {
		select {
		case <-l.stop:
			return
		case <-time.After(pause):
		}
		live := l.said()
		tag, again, err := c.ask()
		l.count(keep, tag, again, err)
		l.compare(live, tag, err)
	}
}

// says tells the load what rel has said to be live: a request that is begun from now on has to be answered by it. Empty: by anyone.
func (l *load) says(live string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.live = live
}

func (l *load) said() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.live
}

// compare takes down an answer of another release than the one that was live from before the request to after the answer.
func (l *load) compare(live, tag string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil && live != "" && live == l.live && tag != live && len(l.stale) < 20 {
		l.stale = append(l.stale, fmt.Sprintf("%s %s, and %s was live", time.Now().Format("15:04:05.000"), tag, live))
	}
}

func (l *load) count(keep bool, tag string, again bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := &l.fresh
	if keep {
		f = &l.kept
	}
	if again {
		f.again++
	}
	if err != nil {
		f.lost++
		if len(l.lost) < 20 {
			l.lost = append(l.lost, fmt.Sprintf("%s (kept: %t) %v", time.Now().Format("15:04:05.000"), keep, err))
		}
		return
	}
	f.served++
	l.answers[tag]++
	l.gap = max(l.gap, time.Since(l.last))
	l.last = time.Now()
}

// wantNoneLost wants that every request was answered, by one of the tags, and by each of them some.
func (l *load) wantNoneLost(t *testing.T, tags ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	t.Logf("a connection for each request: %s; kept connections: %s; answers %v; longest without one %s", l.fresh, l.kept, l.answers,
		l.gap.Round(time.Millisecond))
	if l.fresh.lost+l.kept.lost > 0 {
		t.Errorf("requests were lost:\n%s", strings.Join(l.lost, "\n"))
	}
	for tag, n := range l.answers {
		if !slices.Contains(tags, tag) {
			t.Errorf("%d answers were of %q", n, tag)
		}
	}
	for _, tag := range tags {
		if l.answers[tag] == 0 {
			t.Errorf("no answer was of %s", tag)
		}
	}
}

// sofar are the figures until now.
func (l *load) sofar() (fresh, kept figures, gap time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fresh, l.kept, l.gap
}

// visitor is a client with one connection.
type visitor struct {
	addr string
	path string
	keep bool
	conn net.Conn
	from *bufio.Reader
}

func (c *visitor) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// ask makes one request and gives the release that answered it; again says that a kept connection was closed and it was asked
// a second time.
func (c *visitor) ask() (tag string, again bool, err error) {
	reused := c.conn != nil
	tag, begun, err := c.once()
	if err != nil && reused && !begun {
		tag, _, err = c.once()
		again = true
	}
	return tag, again, err
}

// once is one try; begun says that a byte of an answer came.
func (c *visitor) once() (tag string, begun bool, err error) {
	defer func() {
		if err != nil || !c.keep {
			c.close()
		}
	}()
	if c.conn == nil {
		if c.conn, err = net.DialTimeout("tcp", c.addr, answerWithin); err != nil {
			return "", false, err
		}
		c.from = bufio.NewReader(c.conn)
	}
	if err := c.conn.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		return "", false, err
	}
	connection := "close"
	if c.keep {
		connection = "keep-alive"
	}
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: %s\r\n\r\n", c.path, connection)
	if _, err := io.WriteString(c.conn, request); err != nil {
		return "", false, err
	}
	if _, err := c.from.Peek(1); err != nil {
		return "", false, fmt.Errorf("no answer: %w", err)
	}
	res, err := http.ReadResponse(c.from, nil)
	if err != nil {
		return "", true, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return "", true, fmt.Errorf("half an answer: %w", err)
	}
	if res.Close {
		c.close()
	}
	tag = res.Header.Get("X-Release")
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), tag+":") {
		return "", true, errors.New(res.Status + " from " + tag + ": " + string(body))
	}
	return tag, true, nil
}
