package gate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

const (
	testTag    = "v1.4"
	testCommit = "1f0e3dad99908345f7439f8ffabdffc4a1b2c3d4"
)

func testEnv(t *testing.T) []string {
	t.Helper()
	u, err := proc.UserOf(uint32(os.Geteuid()))
	must(t, err)
	return proc.Environment(u, nil)
}

func serve(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}

func answer(status int, header, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if header != "" {
			w.Header().Set("X-Release", header)
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func TestHealthOnce(t *testing.T) {
	tests := []struct {
		name     string
		health   Health
		handler  http.HandlerFunc
		want     string // the end of the sentence; empty if it passes
		verified release.Verified
	}{
		{"answers", Health{}, answer(200, "", "ok"), "", release.VerifiedAnswer},
		{"wrong status", Health{}, answer(503, "", "ok"), ": 503, 200 expected", ""},
		{"status as configured", Health{Status: 401}, answer(401, "", ""), "", release.VerifiedAnswer},
		{"redirect is not followed", Health{}, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, ": 302, 200 expected", ""},
		{"body", Health{Body: "all good"}, answer(200, "", "yes, all good."), "", release.VerifiedAnswer},
		{"body without it", Health{Body: "all good"}, answer(200, "", "bad"), `: 200, but "all good" is not in the body`, ""},
		{"header with the tag", Health{Release: "header X-Release"}, answer(200, "v1.4", ""), "", release.VerifiedRelease},
		{"header with the commit", Health{Release: "header x-release"}, answer(200, testCommit, ""), "", release.VerifiedRelease},
		{"header with seven digits", Health{Release: "header X-Release"}, answer(200, " "+testCommit[:7], ""), "", release.VerifiedRelease},
		{"header with six digits", Health{Release: "header X-Release"}, answer(200, testCommit[:6], ""), `: "1f0e3d" answers, v1.4 expected`, ""},
		{"header of a longer tag", Health{Release: "header X-Release"}, answer(200, "v1.4.1", ""), `: "v1.4.1" answers, v1.4 expected`, ""},
		{"no header", Health{Release: "header X-Release"}, answer(200, "", ""), ": no header X-Release, which should name v1.4", ""},
		{"body with the tag", Health{Release: `body version=(\S+)`}, answer(200, "", "a\nversion=v1.4 \n"), "", release.VerifiedRelease},
		{"body with a whole match", Health{Release: `body v\d+\.\d+`}, answer(200, "", "this is v1.4."), "", release.VerifiedRelease},
		{"body of the old release", Health{Release: `body version=(\S+)`}, answer(200, "", "version=v1.3"), `: "v1.3" answers, v1.4 expected`, ""},
		{"body without a match", Health{Release: `body version=(\S+)`}, answer(200, "", "hello"), `: no match of version=(\S+), which should name v1.4`, ""},
		{"closed without an answer", Health{}, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				conn.Close()
			}
		}, ": the connection was closed before the answer was whole", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.health.URL = serve(t, tt.handler) + "/up"
			report, err := tt.health.Once(t.Context(), HealthRequest{Tag: testTag, Commit: testCommit})
			if tt.want == "" {
				must(t, err)
				if report.Verified != tt.verified || report.Passes != 1 || !strings.HasPrefix(report.Last, "GET "+tt.health.URL+": ") {
					t.Errorf("got %+v", report)
				}
				return
			}
			want := "GET " + tt.health.URL + tt.want
			if err == nil || err.Error() != want || report.Last != want || report.Verified != release.VerifiedNone {
				t.Errorf("got %v, %+v\nwant %s", err, report, want)
			}
		})
	}
}

func TestHealthOfOtherThings(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", socket)
	must(t, err)
	server := &http.Server{Handler: answer(200, "v1.4", "")}
	go server.Serve(listener) //nolint:errcheck // ends with Close
	t.Cleanup(func() { server.Close() })
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	closed := free.Addr().String()
	must(t, free.Close())
	open := strings.TrimPrefix(serve(t, answer(200, "", "")), "http://")

	tests := []struct {
		name   string
		health Health
		want   string
	}{
		{"tcp", Health{TCP: open}, ""},
		{"tcp refused", Health{TCP: closed}, "connect to " + closed + ": connection refused"},
		{"unix socket", Health{TCP: socket}, ""},
		{"no unix socket", Health{TCP: socket + "x"}, "connect to " + socket + "x: no such file or directory"},
		{"http refused", Health{URL: "http://" + closed + "/"}, "GET http://" + closed + "/: connection refused"},
		{"http over a unix socket", Health{URL: "http+unix:" + socket + ":/up", Release: "header X-Release"}, ""},
		{"http over a unix socket, with slashes", Health{URL: "http+unix://" + socket + ":/up"}, ""},
		{"command", Health{Run: "test -d ."}, ""},
		{"command that fails", Health{Run: "echo no; echo 'not yet' >&2; exit 7"}, "health's command: exit 7: not yet"},
		{"command that fails silently", Health{Run: "kill -9 $$"}, "health's command: ended by signal 9 (killed)"},
		{"all of them", Health{TCP: open, Run: "exit 0", URL: "http://" + open}, ""},
		{"all but one", Health{TCP: open, Run: "exit 1", URL: "http://" + open}, "health's command: exit 1"},
		{"password not shown", Health{URL: "http://me:secret@" + closed + "/"}, "GET http://me:xxxxx@" + closed + "/: connection refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.health.Once(t.Context(), HealthRequest{Tag: testTag, Commit: testCommit, Dir: dir, Env: testEnv(t)})
			if got := text(err); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestHealthValidate(t *testing.T) {
	tests := []struct {
		health Health
		want   string
	}{
		{Health{}, ""},
		{Health{URL: "http://localhost:8080/up", Release: "header X-Release", Body: "x"}, ""},
		{Health{URL: "localhost:8080/up"}, `health.url "localhost:8080/up": not http or https`},
		{Health{URL: "http:///up"}, `health.url "http:///up": no host`},
		{Health{URL: "http://[::1/up"}, `health.url "http://[::1/up": missing ']' in host`},
		{Health{URL: "http+unix:/run/x.sock"}, `health.url "http+unix:/run/x.sock": not of the form http+unix:/SOCKET:/PATH`},
		{Health{URL: "http://x/", Release: "X-Release"}, `health.release "X-Release": neither "header NAME" nor "body REGEXP"`},
		{Health{URL: "http://x/", Release: "header "}, `health.release "header ": neither "header NAME" nor "body REGEXP"`},
		{Health{URL: "http://x/", Release: "body (a"}, "health.release \"body (a\": error parsing regexp: missing closing ): `(a`"},
		{Health{TCP: "x:1", Release: "header A"}, "health: body and release are of an answer, and no url is set"},
		{
			Health{TCP: "x:1", Passes: 11, Interval: time.Second, Timeout: 10 * time.Second},
			"health: 11 passes, one every 1s, take longer than the timeout, 10s",
		},
	}
	for _, tt := range tests {
		err := tt.health.Validate()
		if text(err) != tt.want || err != nil && release.ExitCode(err) != release.ExitUsage {
			t.Errorf("%+v: got %q, want %q", tt.health, text(err), tt.want)
		}
	}
}

func TestHealthWaitsForPassesInARow(t *testing.T) {
	var n, conns atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch n.Add(1) { // down, up, up, down, up, up, up
		case 1, 4:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	report, err := Health{URL: s.URL, Passes: 3, Interval: time.Millisecond}.Wait(t.Context(), HealthRequest{Alive: func() error { return nil }})
	must(t, err)
	if want := "GET " + s.URL + ": 200"; report.Last != want {
		t.Errorf("last: %q, want %q", report.Last, want)
	}
	if report.Tries != 7 || report.Passes != 3 || report.Verified != release.VerifiedAnswer || conns.Load() != 7 {
		t.Errorf("%d connections, %+v", conns.Load(), report)
	}
}

func TestHealthGivesUp(t *testing.T) {
	url := serve(t, answer(503, "", ""))
	report, err := Health{URL: url, Interval: time.Millisecond, Timeout: 50 * time.Millisecond}.Wait(t.Context(), HealthRequest{})
	want := fmt.Sprintf("health: GET %s: 503, 200 expected, after %d tries in 50ms", url, report.Tries)
	if text(err) != want || report.Verified != release.VerifiedNone || report.Took == 0 {
		t.Errorf("got %v\nwant %s", err, want)
	}

	var n atomic.Int32
	flapping := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%2 == 0 {
			w.WriteHeader(500)
		}
	})
	_, err = Health{URL: flapping, Passes: 2, Interval: time.Millisecond, Timeout: 100 * time.Millisecond}.Wait(t.Context(), HealthRequest{})
	if !strings.Contains(text(err), "GET "+flapping+": 500, 200 expected") {
		t.Errorf("flapping: %v", err)
	}

	done := make(chan struct{})
	hanging := serve(t, func(http.ResponseWriter, *http.Request) { <-done })
	defer close(done)
	_, err = Health{URL: hanging, Timeout: 50 * time.Millisecond}.Wait(t.Context(), HealthRequest{})
	if want := "health: GET " + hanging + ": no answer in time, after 1 tries in 50ms"; text(err) != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestHealthEndsWithTheMaster(t *testing.T) {
	done := make(chan struct{})
	hanging := serve(t, func(http.ResponseWriter, *http.Request) { <-done })
	defer close(done)
	gone := errors.New("apache: pid 7 is gone")
	var n atomic.Int32
	alive := func() error {
		if n.Add(1) > 2 {
			return gone
		}
		return nil
	}
	start := time.Now()
	_, err := Health{URL: hanging, Interval: time.Millisecond, Timeout: time.Hour}.Wait(t.Context(), HealthRequest{Alive: alive})
	if !errors.Is(err, gone) || time.Since(start) > tryLimit {
		t.Errorf("after %s: %v", time.Since(start), err)
	}
	ok := serve(t, answer(200, "", ""))
	_, err = Health{URL: ok, Interval: time.Millisecond}.Wait(t.Context(), HealthRequest{Alive: func() error { return gone }})
	if !errors.Is(err, gone) {
		t.Errorf("answers though the master is gone: %v", err)
	}
}

func TestHealthEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("cancelled by an operator")
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		cancel(stopped)
	})
	_, err := Health{URL: url, Timeout: time.Hour}.Wait(ctx, HealthRequest{})
	if !errors.Is(err, stopped) {
		t.Errorf("got %v", err)
	}
}

func TestHealthCommandGetsWhatItNeeds(t *testing.T) {
	dir := t.TempDir()
	env := append(testEnv(t), "REL_TAG=v1.4")
	h := Health{Run: `printf '%s in %s' "$REL_TAG" "$PWD" > seen`}
	_, err := h.Wait(t.Context(), HealthRequest{Dir: dir, Env: env})
	must(t, err)
	seen, err := os.ReadFile(filepath.Join(dir, "seen"))
	must(t, err)
	if string(seen) != "v1.4 in "+dir {
		t.Errorf("seen %q", seen)
	}
}
