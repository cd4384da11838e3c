package hooks

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The scripts call rel for the root, however both are called, and are known again.
func TestScriptsCallRel(t *testing.T) {
	for _, odd := range []string{"plain", "two words", "it's", `$(touch x) "q" \`, "new\nline", "-C", "ü*?[a]", "a hook path"} {
		dir := filepath.Join(t.TempDir(), odd)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		program := filepath.Join(dir, "rel")
		if err := os.WriteFile(program, []byte("#!/bin/sh\nprintf '<%s>' \"$@\"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range Names() {
			hook := filepath.Join(dir, name)
			text := Script(name, program, dir)
			if err := os.WriteFile(hook, []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(hook).CombinedOutput()
			if want := "<-C><" + dir + "><hook><" + name + "><" + hook + ">"; err != nil || string(out) != want {
				t.Errorf("%s in %q: got %s, %v, want %s", name, odd, out, err, want)
			}
			if root, ok := Root(text); !ok || root != dir {
				t.Errorf("%s in %q: of the root %q, %v", name, odd, root, ok)
			}
		}
	}
}

// Without rel a hook says no, and where it looked.
func TestScriptsWithoutRel(t *testing.T) {
	for _, name := range Names() {
		hook := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(hook, []byte(Script(name, "/no/such/rel", "/srv/shop")), 0o755); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(hook).CombinedOutput()
		if err == nil || !strings.HasPrefix(string(out), "rel: /no/such/rel: not there") {
			t.Errorf("%s: got %s, %v", name, out, err)
		}
	}
}

func TestRootOfOtherScripts(t *testing.T) {
	for _, text := range []string{"", "#!/bin/sh\nexit 0\n", "#!/bin/sh\nexec rel -C /srv/shop hook post-receive\n"} {
		if root, ok := Root(text); ok {
			t.Errorf("%q is of the root %q", text, root)
		}
	}
}
