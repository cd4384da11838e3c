package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

const (
	bodyLimit   = 1 << 20 // bytes of an answer that are looked at
	shortCommit = 7       // digits that an abbreviated commit must have at least
)

// probe is one try of one thing. What it saw and its error are both what a person reads: "GET http://…: 200".
type probe func(ctx context.Context) (seen string, err error)

// probes are h's, for one release.
func (h Health) probes(req HealthRequest) ([]probe, error) {
	if h.URL == "" && (h.Body != "" || h.Release != "") {
		return nil, release.Errorf(release.ExitUsage, "health: body and release are of an answer, and no url is set")
	}
	if time.Duration(h.Passes-1)*h.Interval >= h.Timeout {
		return nil, release.Errorf(release.ExitUsage, "health: %d passes, one every %s, take longer than the timeout, %s",
			h.Passes, h.Interval, h.Timeout)
	}
	var probes []probe
	if h.TCP != "" {
		probes = append(probes, func(ctx context.Context) (string, error) { return probeTCP(ctx, h.TCP) })
	}
	if h.URL != "" {
		p, err := h.probeHTTP(req)
		if err != nil {
			return nil, err
		}
		probes = append(probes, p)
	}
	if h.Run != "" {
		probes = append(probes, func(ctx context.Context) (string, error) { return probeRun(ctx, h.Run, req) })
	}
	return probes, nil
}

func probeTCP(ctx context.Context, addr string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return "", fmt.Errorf("connect to %s: %s", addr, netCause(err))
	}
	return "connect to " + addr + ": accepted", conn.Close()
}

func probeRun(ctx context.Context, shell string, req HealthRequest) (string, error) {
	_, err := proc.Command{Shell: shell, Dir: req.Dir, Env: req.Env, As: req.As, Hold: req.Hold, Output: req.Output}.Run(ctx)
	if exit, ok := errors.AsType[*proc.ExitError](err); ok && len(exit.Tail) > 0 {
		return "", fmt.Errorf("health's command: %s: %s", how(exit), exit.Tail[len(exit.Tail)-1])
	} else if ok {
		return "", fmt.Errorf("health's command: %s", how(exit))
	}
	return "health's command: exit 0", err
}

// how is an exit in words.
func how(e *proc.ExitError) string {
	switch {
	case e.TimedOut:
		return "still running after " + e.Timeout.String() + ", ended"
	case e.Cause != nil:
		return "ended: " + e.Cause.Error()
	case e.Signal != 0:
		return fmt.Sprintf("ended by signal %d (%s)", e.Signal, e.Signal)
	}
	return "exit " + strconv.Itoa(e.Code)
}

func (h Health) probeHTTP(req HealthRequest) (probe, error) {
	u, client, err := target(h.URL)
	if err != nil {
		return nil, release.Errorf(release.ExitUsage, "health.url %q: %w", h.URL, err)
	}
	named, err := parseNamed(h.Release)
	if err != nil {
		return nil, release.Errorf(release.ExitUsage, "health.release %q: %w", h.Release, err).
			Hint(`release = "header X-Release" or release = "body version=(\\S+)"`)
	}
	shown := redacted(h.URL)
	return func(ctx context.Context) (string, error) {
		name, err := h.get(ctx, client, u, named, req)
		if err != nil {
			return "", fmt.Errorf("GET %s: %w", shown, err)
		}
		seen := fmt.Sprintf("GET %s: %d", shown, h.Status)
		if name != "" {
			seen += " from " + name
		}
		return seen, nil
	}, nil
}

// get asks once and gives the name by which the release answered, where it was to name itself.
func (h Health) get(ctx context.Context, client *http.Client, u string, named namedIn, req HealthRequest) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("User-Agent", "rel")
	resp, err := client.Do(r)
	if err != nil {
		return "", errors.New(netCause(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != h.Status {
		return "", fmt.Errorf("%d, %d expected", resp.StatusCode, h.Status)
	}
	if h.Body == "" && named.pattern == nil {
		return named.check(resp.Header, nil, req)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, bodyLimit))
	if err != nil {
		return "", fmt.Errorf("body: %s", netCause(err))
	}
	if !strings.Contains(string(body), h.Body) {
		return "", fmt.Errorf("%d, but %q is not in the body", resp.StatusCode, h.Body)
	}
	return named.check(resp.Header, body, req)
}

// target is the URL to ask and a client that asks it: a new connection for each request, no redirects, no proxy.
func target(raw string) (string, *http.Client, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if rest, ok := strings.CutPrefix(raw, "http+unix:"); ok {
		socket, path, found := strings.Cut(rest, ":")
		socket = "/" + strings.TrimLeft(socket, "/")
		if !found || socket == "/" || !strings.HasPrefix(path, "/") {
			return "", nil, errors.New("not of the form http+unix:/SOCKET:/PATH")
		}
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		}
		raw = "http://localhost" + path
	}
	u, err := url.Parse(raw)
	if err != nil {
		var parse *url.Error
		if errors.As(err, &parse) {
			err = parse.Err
		}
		return "", nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return "", nil, errors.New("not http or https")
	}
	if u.Host == "" {
		return "", nil, errors.New("no host")
	}
	return raw, client, nil
}

// redacted is a URL as it may be shown: without its password.
func redacted(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.User != nil {
		return u.Redacted()
	}
	return raw
}

// netCause is why a connection or an answer did not come, without what the caller names already.
func netCause(err error) string {
	var errno syscall.Errno
	var dns *net.DNSError
	var op *net.OpError
	var u *url.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errTimeout), os.IsTimeout(err):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "cut short"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed before the answer was whole"
	case errors.As(err, &dns):
		return dns.Name + ": " + dns.Err
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &op):
		return op.Err.Error()
	case errors.As(err, &u):
		return u.Err.Error()
	}
	return err.Error()
}
