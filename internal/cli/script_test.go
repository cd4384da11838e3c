package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes this test binary the rel command too: testscript copies it under that name into the scripts' PATH, and what
// rel re-executes for its worker is that copy.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"rel": func() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScript runs testdata/script: one file for each behaviour, on real repositories and real processes.
func TestScript(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Fatal("git: not found: the scripts need it")
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		Setup:               setupScript,
		Condition:           condition,
		RequireUniqueNames:  true,
		RequireExplicitExec: false,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  scriptExits,
			"git":    scriptGit,
			"tagged": scriptTagged,
			"write":  scriptWrite,
			"json":   scriptJSON,
			"keys":   scriptKeys,
			"await":  scriptAwait,
			"hook":   scriptHook,
			"aged":   scriptAged,
		},
	})
}

const gitConfig = `[user]
	name = Dana Deploy
	email = dana@example.org
[init]
	defaultBranch = main
[advice]
	detachedHead = false
[protocol "file"]
	allow = always
`

// setupScript gives a script a home of its own, and nothing of the environment that the tests run in.
func setupScript(env *testscript.Env) error {
	home := filepath.Join(env.WorkDir, "home")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	env.Setenv("HOME", home)
	env.Setenv("TZ", "UTC")
	env.Setenv("LC_ALL", "C")
	env.Setenv("TERM", "dumb")
	env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	env.Setenv("REL_USER", "dana")
	env.Setenv("GORACE", "atexit_sleep_ms=0") // else a program built with -race takes a second to end
	return os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(gitConfig), 0o644)
}

func condition(name string) (bool, error) {
	if name == "root" {
		return os.Getuid() == 0, nil
	}
	return false, fmt.Errorf("%s: no such condition", name)
}

// exits CODE COMMAND [ARG...]: the command must end with exactly this exit code.
func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	code := 0
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%s: %v", args[1], err)
	}
	if code != want {
		ts.Fatalf("%s ended with exit code %d, not %d", strings.Join(args[1:], " "), code, want)
	}
}

// git ARG...: git must succeed.
func scriptGit(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("git: exits tells of a git that must not succeed")
	}
	ts.Check(ts.Exec("git", args...))
}

// tagged TAG [MESSAGE]: commits everything in the current directory's repository and makes an annotated tag of it.
func scriptTagged(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: tagged TAG [MESSAGE]")
	}
	message := args[len(args)-1]
	ts.Check(ts.Exec("git", "add", "--all"))
	ts.Check(ts.Exec("git", "commit", "--quiet", "--allow-empty", "--message", message))
	ts.Check(ts.Exec("git", "tag", "--annotate", "--message", message, args[0]))
}

// write FILE LINE...: makes a file of these lines, and the directories above it.
func scriptWrite(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: write FILE LINE...")
	}
	path := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
	ts.Check(os.WriteFile(path, []byte(strings.Join(args[1:], "\n")+"\n"), 0o644))
}

// hook REPO [ROOT]: lets a bare repository call rel after each push, in the root around it or in another.
func scriptHook(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: hook REPO [ROOT]")
	}
	in := ""
	if len(args) == 2 {
		in = "-C '" + ts.MkAbs(args[1]) + "' "
	}
	path := filepath.Join(ts.MkAbs(args[0]), "hooks", "post-receive")
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
	ts.Check(os.WriteFile(path, []byte("#!/bin/sh\nexec rel "+in+"hook post-receive\n"), 0o755))
}

// aged FILE: makes a file look as if it was written an hour ago.
func scriptAged(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: aged FILE")
	}
	then := time.Now().Add(-time.Hour)
	ts.Check(os.Chtimes(ts.MkAbs(args[0]), then, then))
}

// document is stdout, which must be one JSON document and nothing else.
func document(ts *testscript.TestScript) any {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	d.UseNumber()
	var doc any
	if err := d.Decode(&doc); err != nil {
		ts.Fatalf("stdout is not JSON: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		ts.Fatalf("stdout is more than one JSON document")
	}
	return doc
}

// at follows a path such as 0.tag or drift.0.what; "." is the whole document.
func at(doc any, path string) (any, error) {
	if path == "." {
		return doc, nil
	}
	for part := range strings.SplitSeq(path, ".") {
		switch v := doc.(type) {
		case map[string]any:
			value, ok := v[part]
			if !ok {
				return nil, fmt.Errorf("%s: no field %q", path, part)
			}
			doc = value
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(v) {
				return nil, fmt.Errorf("%s: no element %s of %d", path, part, len(v))
			}
			doc = v[i]
		default:
			return nil, fmt.Errorf("%s: %q of what is no object or array", path, part)
		}
	}
	return doc, nil
}

// [!] json PATH [VALUE]: stdout is one JSON document that has this field, of this value. A string stands without its quotes.
func scriptJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: json PATH [VALUE]")
	}
	value, err := at(document(ts), args[0])
	if neg && len(args) == 1 {
		if err == nil {
			ts.Fatalf("%s is there: %v", args[0], value)
		}
		return
	}
	ts.Check(err)
	if len(args) == 1 {
		return
	}
	text, isString := value.(string)
	if !isString {
		data, err := json.Marshal(value)
		ts.Check(err)
		text = string(data)
	}
	if (text == args[1]) == neg {
		ts.Fatalf("%s is %q", args[0], text)
	}
}

// keys PATH KEY...: the object at PATH, or every object of the array there, has all these fields.
func scriptKeys(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: keys PATH KEY...")
	}
	value, err := at(document(ts), args[0])
	ts.Check(err)
	all, isArray := value.([]any)
	if !isArray {
		all = []any{value}
	}
	if len(all) == 0 {
		ts.Fatalf("%s is empty", args[0])
	}
	for _, one := range all {
		object, ok := one.(map[string]any)
		if !ok {
			ts.Fatalf("%s: not an object: %v", args[0], one)
		}
		for _, key := range args[1:] {
			if _, ok := object[key]; !ok {
				ts.Fatalf("%s: no field %q in %v", args[0], key, object)
			}
		}
	}
}

// [!] await FILE [TEXT]: waits until a file is there and has the text in it, or until none has. FILE may be a pattern.
func scriptAwait(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: [!] await FILE [TEXT]")
	}
	text := append(args, "")[1]
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		files, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		there := slices.ContainsFunc(files, func(file string) bool {
			data, err := os.ReadFile(file)
			return err == nil && strings.Contains(string(data), text)
		})
		if there != neg {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("await %s: in vain", strings.Join(args, " "))
		}
	}
}
