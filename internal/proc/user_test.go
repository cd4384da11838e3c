package proc_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/git-rel/rel/internal/proc"
)

const role = "REL_TEST_ROLE"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == proc.EnterCommand {
		proc.Enter(os.Args[2])
		os.Exit(1)
	}
	if os.Getenv(role) == "dropped" {
		if err := dropped(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

func lookup(t *testing.T, name string) proc.User {
	t.Helper()
	u, err := proc.LookupUser(name)
	if err != nil {
		t.Skipf("needs user %s: %v", name, err)
	}
	return u
}

func TestLookupUser(t *testing.T) {
	root, err := proc.LookupUser("root")
	if err != nil || root.UID != 0 || root.GID != 0 || root.Name != "root" || root.Home == "" || len(root.Groups) == 0 {
		t.Errorf("%+v, %v", root, err)
	}
	if same, err := proc.LookupUser("0"); err != nil || same.Name != "root" {
		t.Errorf("%+v, %v", same, err)
	}
	if same, err := proc.UserOf(0); err != nil || same.Name != "root" {
		t.Errorf("%+v, %v", same, err)
	}
	if _, err := proc.LookupUser("no-such-user"); err == nil || !strings.HasPrefix(err.Error(), `user "no-such-user"`) {
		t.Errorf("%v", err)
	}
	if me, err := proc.UserOf(uint32(os.Geteuid())); err != nil || int(me.UID) != os.Geteuid() {
		t.Errorf("%+v, %v", me, err)
	}
}

// credentials prints what the kernel says of the process that runs it.
const credentials = `grep -E '^(Uid|Gid|Groups|CapPrm|CapEff):' /proc/self/status | tr -s '\t ' ' '`

func wantCredentials(u proc.User) string {
	var groups []string
	for _, g := range u.Groups {
		groups = append(groups, strconv.Itoa(int(g)))
	}
	four := func(id uint32) string { return strings.TrimSpace(strings.Repeat(fmt.Sprintf("%d ", id), 4)) }
	return fmt.Sprintf("Uid: %s|Gid: %s|Groups: %s", four(u.UID), four(u.GID), strings.Join(groups, " "))
}

func credentialsOf(as *proc.User) (string, []string, error) {
	var got []string
	c := proc.Command{Shell: credentials, As: as, Env: []string{"PATH=/usr/bin:/bin"}, Dir: "/"}
	c.Output = func(line string) { got = append(got, strings.TrimSpace(line)) }
	_, err := c.Run(context.Background())
	if len(got) != 5 {
		return strings.Join(got, "|"), nil, err
	}
	return strings.Join(got[:3], "|"), got[3:], err
}

func TestRunAs(t *testing.T) {
	needRoot(t)
	for _, name := range []string{"nobody", "www-data"} {
		u := lookup(t, name)
		got, caps, err := credentialsOf(&u)
		if err != nil || got != wantCredentials(u) {
			t.Errorf("%s: %q, want %q: %v", name, got, wantCredentials(u), err)
		}
		for _, c := range caps {
			if !strings.HasSuffix(c, " 0000000000000000") {
				t.Errorf("%s: %s", name, c)
			}
		}
	}
}

// TestDropTo lets a copy of this test drop root.
func TestDropTo(t *testing.T) {
	needRoot(t)
	lookup(t, "nobody")
	lookup(t, "www-data")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, data, 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := lines(t, proc.Command{Path: copied, Env: []string{role + "=dropped", "PATH=/usr/bin:/bin"}})
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(got, "\n"))
	}
}

// dropped runs as a process of its own: it drops to nobody and checks what it and its commands then are.
func dropped() error {
	nobody, err := proc.LookupUser("nobody")
	if err != nil {
		return err
	}
	web, err := proc.LookupUser("www-data")
	if err != nil {
		return err
	}
	root, err := proc.LookupUser("root")
	if err != nil {
		return err
	}
	if err := proc.DropTo(nobody); err != nil {
		return err
	}
	if !proc.CanBecome() {
		return fmt.Errorf("cannot become anybody")
	}
	for range 20 {
		for _, as := range []*proc.User{nil, &nobody, &web, &root} {
			want := nobody
			if as != nil {
				want = *as
			}
			got, caps, err := credentialsOf(as)
			if err != nil || got != wantCredentials(want) {
				return fmt.Errorf("as %s: %q, want %q: %w", want.Name, got, wantCredentials(want), err)
			}
			if want.UID != 0 && strings.Join(caps, "|") != "CapPrm: 0000000000000000|CapEff: 0000000000000000" {
				return fmt.Errorf("as %s: %q", want.Name, caps)
			}
		}
	}
	if _, err := (proc.Command{Shell: `perl -e '$< = 0; $> = 0; exit($> == 0 || $< == 0)'`, Env: []string{"PATH=/usr/bin"}}).Run(context.Background()); err != nil {
		return fmt.Errorf("a command became root again: %w", err)
	}
	if err := signalRoots(root); err != nil {
		return err
	}
	return threadsAreDropped()
}

// signalRoots ends a process of root's, which nobody may not.
func signalRoots(root proc.User) error {
	var failed error
	c := proc.Command{Shell: "sleep 60", As: &root, Env: []string{"PATH=/usr/bin:/bin"}}
	c.Started = func(pid int, _ uint64) error {
		p, err := proc.Lookup(pid)
		if err != nil {
			return err
		}
		failed = proc.Signal(p, syscall.SIGTERM)
		return failed
	}
	_, err := c.Run(context.Background())
	if exit, ok := err.(*proc.ExitError); !ok || exit.Signal != syscall.SIGTERM {
		return fmt.Errorf("signal to a process of root's: %w", err)
	}
	return failed
}

// threadsAreDropped checks that no thread has kept what a command was started with.
func threadsAreDropped() error {
	statuses, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(statuses) == 0 {
		return fmt.Errorf("no threads: %w", err)
	}
	for _, path := range statuses {
		data, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return err
		}
		if !strings.Contains(string(data), "\nUid:\t65534\t65534\t0\t65534\n") {
			return fmt.Errorf("%s:\n%s", path, data)
		}
	}
	return nil
}
