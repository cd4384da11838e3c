package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// readLive reads, through one descriptor of the live path's directory, the tag that two of its files name.
func readLive(live string) (string, error) {
	dir, err := unix.Open(live, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: live, Err: err}
	}
	defer unix.Close(dir)
	data, err := readAt(dir, "shop.json")
	if err != nil {
		return "", err
	}
	var shop struct{ Version string }
	if err := json.Unmarshal(data, &shop); err != nil {
		return "", fmt.Errorf("shop.json: %w", err)
	}
	page, err := readAt(dir, "page.tmpl")
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(string(page), shop.Version+":") {
		return "", fmt.Errorf("shop.json is of %s, and page.tmpl is: %s", shop.Version, page)
	}
	return shop.Version, nil
}

func readAt(dir int, name string) ([]byte, error) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("openat %s: %w", name, err)
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	return io.ReadAll(file)
}

// watcher reads the live path all the time: it must never be absent nor partial.
type watcher struct {
	stop chan struct{}
	wait sync.WaitGroup
	mu   sync.Mutex
	read int
	bad  []string
}

func (s *site) watch() *watcher {
	w := &watcher{stop: make(chan struct{})}
	w.wait.Go(func() {
		for {
			select {
			case <-w.stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
			w.count(readLive(s.live))
		}
	})
	return w
}

func (w *watcher) count(_ string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.read++
	if err != nil && len(w.bad) < 20 {
		w.bad = append(w.bad, err.Error())
	}
}

// end wants that the live path always led to a whole release.
func (w *watcher) end(t *testing.T) {
	t.Helper()
	close(w.stop)
	w.wait.Wait()
	t.Logf("the live path was read %d times", w.read)
	if w.read == 0 || len(w.bad) > 0 {
		t.Errorf("the live path was absent or partial: %s", strings.Join(w.bad, "; "))
	}
}
