package gate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

func tree(t *testing.T, files map[string]string) (dir string, paths []string) {
	t.Helper()
	dir = openDir(t)
	for path, content := range files {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, path), []byte(content), 0o644))
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return dir, paths
}

// needs skips the test where a program is missing that its Debian package has.
func needs(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := proc.LookPath(program, pathOf(testEnv(t))); err != nil {
		t.Skipf("needs %s (Debian package %s)", program, pkg)
	}
}

func TestPresets(t *testing.T) {
	tests := []struct {
		preset, program string
		files           map[string]string
		libs            []string
		failed          map[string]string // of which files, and a part of what they print
	}{
		{"perl", "perl", map[string]string{
			"lib/Shop.pm": "package Shop;\nuse strict;\nuse Shop::Cart;\n1;\n", "lib/Shop/Cart.pm": "package Shop::Cart;\n1;\n",
			"bad.pl": "use strict;\n$x = 1;\n", "-odd name.pl": "use Shop;\n", "readme": "not perl (",
		}, []string{"lib"}, map[string]string{"bad.pl": "requires explicit package name"}},
		{"perl", "perl", map[string]string{"Here.pm": "1;\n", "a.pl": "use Here;\n"}, nil, map[string]string{"a.pl": "Can't locate Here.pm"}},
		{"php", "php", map[string]string{"ok.php": "<?php echo 1;\n", "bad.php": "<?php echo (\n"}, nil, map[string]string{"bad.php": "Parse error"}},
		{"python", "python3", map[string]string{
			"ok.py": "import nothing_of_that_name\nprint('not run')\n", "bad.py": "def f(:\n", "return.py": "return 1\n",
		}, nil, map[string]string{"bad.py": "SyntaxError", "return.py": "outside function"}},
		{"ruby", "ruby", map[string]string{"ok.rb": "puts 1\n", "bad.rb": "def (\n"}, []string{"lib"}, map[string]string{"bad.rb": "bad.rb:1"}},
		{"node", "node", map[string]string{
			"ok.js": "const a = require('nowhere')\n", "ok.mjs": "import a from './nowhere.js'\n", "bad.js": "function (\n",
		}, nil, map[string]string{"bad.js": "SyntaxError"}},
		{
			"shell", "sh",
			map[string]string{"ok.sh": "echo ok\n", "bad.sh": "if true; then\n", "perl.sh": "#!/usr/bin/perl\nif (\n"},
			nil,
			map[string]string{"bad.sh": "bad.sh"},
		},
		{"shell", "bash", map[string]string{
			"array.sh": "#!/usr/bin/env bash\na=(1 2)\n", "array.bash": "b=(1 2)\n", "dash.sh": "#!/bin/dash\na=(1 2)\n",
		}, nil, map[string]string{"dash.sh": "dash.sh"}},
	}
	for _, tt := range tests {
		t.Run(tt.preset, func(t *testing.T) {
			needs(t, tt.program, presets()[tt.preset].pkg)
			dir, paths := tree(t, tt.files)
			report, err := RunChecks(t.Context(), ChecksRequest{
				Dir: dir, Files: paths, First: true, Env: testEnv(t),
				Checks: []Check{{Name: "it", Preset: tt.preset, Libs: tt.libs}},
			})
			got := map[string]string{}
			for _, f := range report.Failed {
				got[f.File] = strings.Join(f.Tail, "\n")
			}
			if len(got) != len(tt.failed) || release.ExitCode(err) != release.ExitRefused {
				t.Errorf("failed: %v; %v", got, err)
			}
			for file, part := range tt.failed {
				if !strings.Contains(got[file], part) {
					t.Errorf("%s: %q is not in %q", file, part, got[file])
				}
			}
			if now, err := filepath.Glob(filepath.Join(dir, "__pycache__")); err != nil || len(now) > 0 {
				t.Errorf("left behind: %v, %v", now, err)
			}
		})
	}
}

func TestChecksTargets(t *testing.T) {
	files := []string{"a.pl", "lib/B.pm", "lib/C.pm", "page.html"}
	all := []string{"a.pl", "lib/B.pm", "lib/C.pm"}
	tests := []struct {
		name  string
		check Check
		req   ChecksRequest
		want  []string
	}{
		{"first", Check{}, ChecksRequest{First: true}, all},
		{"first, scope changed", Check{Scope: "changed"}, ChecksRequest{First: true}, all},
		{"nothing changed", Check{}, ChecksRequest{}, nil},
		{"one changed", Check{}, ChecksRequest{Changed: []string{"lib/C.pm"}}, all},
		{"one changed, scope changed", Check{Scope: "changed"}, ChecksRequest{Changed: []string{"lib/C.pm", "page.html"}}, []string{"lib/C.pm"}},
		{"another kind changed", Check{}, ChecksRequest{Changed: []string{"page.html"}}, nil},
		{"one went", Check{}, ChecksRequest{Removed: []string{"lib/D.pm"}}, all},
		{"one went, scope changed", Check{Scope: "changed"}, ChecksRequest{Removed: []string{"lib/D.pm"}}, nil},
		{"another kind went", Check{}, ChecksRequest{Removed: []string{"old.html"}}, nil},
		{"own patterns", Check{Files: []string{"lib/*"}}, ChecksRequest{Changed: []string{"lib/B.pm"}}, []string{"lib/B.pm", "lib/C.pm"}},
	}
	for _, tt := range tests {
		tt.check.Preset, tt.req.Files = "perl", files
		if got := tt.check.targets(tt.req); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestChecksOwnCommand(t *testing.T) {
	dir, files := tree(t, map[string]string{"a b.txt": "", "$(touch pwned).txt": "", "it's;x.txt": "", "-n.txt": "", "sub/z.txt": ""})
	var mu sync.Mutex
	var lines []string
	report, err := RunChecks(t.Context(), ChecksRequest{
		Dir: dir, Files: files, First: true, Env: append(testEnv(t), "REL_TAG=v1"),
		Checks: []Check{
			{Name: "each", Run: `test -f "$1" && echo "$REL_TAG $1"`, Files: []string{"*.txt"}},
			{Name: "once", Run: `echo "$# of $PWD"`},
			{Name: "idle", Run: "exit 1", Files: []string{"*.none"}},
		},
		Output: func(line string) {
			if !mu.TryLock() {
				t.Error("output from two goroutines at once")
				return
			}
			defer mu.Unlock()
			lines = append(lines, line)
		},
	})
	must(t, err)
	slices.Sort(lines)
	want := []string{"0 of " + dir, "v1 $(touch pwned).txt", "v1 ./-n.txt", "v1 a b.txt", "v1 it's;x.txt", "v1 sub/z.txt"}
	if !slices.Equal(lines, want) || report.Commands != 6 || !slices.Equal(report.Figures, []string{"each 5 files", "once", "idle no files"}) {
		t.Errorf("got %q, %+v", lines, report)
	}
}

func TestChecksFailures(t *testing.T) {
	files := map[string]string{}
	for i := range 25 {
		files[fmt.Sprintf("f%02d", i)] = ""
	}
	dir, paths := tree(t, files)
	req := ChecksRequest{Dir: dir, Files: paths, First: true, Env: testEnv(t)}

	req.Checks = []Check{{Name: "long", Run: "seq 1 100; exit 3"}}
	report, err := RunChecks(t.Context(), req)
	if report.Total != 1 || len(report.Failed[0].Tail) != 20 || report.Failed[0].Tail[19] != "100" {
		t.Errorf("got %+v", report)
	}
	if text(err) != "check long: exit 3" || release.ExitCode(err) != release.ExitRefused {
		t.Errorf("got %v", err)
	}

	req.Checks = []Check{
		{Name: "some", Run: `echo "no $1"; case $1 in f0[1-9]|f1?) exit 1;; esac`, Files: []string{"f*"}},
		{Name: "more", Run: `exit 2`},
	}
	report, err = RunChecks(t.Context(), req)
	if report.Total != 20 || len(report.Failed) != 10 || report.Failed[9].File != "f10" {
		t.Errorf("got %+v", report)
	}
	for _, part := range []string{"checks: 20 of 26 commands said no:\n  check some: f01: exit 1\n", "\n  and 10 more"} {
		if !strings.Contains(text(err), part) {
			t.Errorf("%q is not in:\n%v", part, err)
		}
	}
}

func TestChecksTimeout(t *testing.T) {
	dir, files := tree(t, map[string]string{"a": ""})
	_, err := RunChecks(t.Context(), ChecksRequest{
		Dir: dir, Files: files, First: true, Env: testEnv(t),
		Checks: []Check{{Name: "slow", Run: "sleep 100", Files: []string{"*"}, Timeout: 50 * time.Millisecond}},
	})
	if text(err) != "check slow: a: still running after 50ms, ended" {
		t.Errorf("got %v", err)
	}
}

func TestChecksCancelled(t *testing.T) {
	dir, files := tree(t, map[string]string{"a": "", "b": "", "c": "", "d": ""})
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("cancelled by an operator")
	_, err := RunChecks(ctx, ChecksRequest{
		Dir: dir, Files: files, First: true, Env: testEnv(t),
		Checks: []Check{{Name: "slow", Run: "echo go; exec sleep 100"}},
		Output: func(string) { cancel(stopped) },
	})
	if !errors.Is(err, stopped) {
		t.Errorf("got %v", err)
	}
}

func TestChecksMissingProgram(t *testing.T) {
	dir, files := tree(t, map[string]string{"a.php": ""})
	_, err := RunChecks(t.Context(), ChecksRequest{
		Dir: dir, Files: files, First: true, Env: []string{"PATH=" + dir},
		Checks: []Check{{Name: "first", Run: "exit 1"}, {Name: "syntax", Preset: "php"}},
	})
	if text(err) != "check syntax: php: no such program in PATH="+dir || release.ExitCode(err) != release.ExitRefused {
		t.Errorf("got %v", err)
	}
	if !slices.Equal(release.Hints(err), []string{"on Debian: sudo apt install php-cli"}) {
		t.Errorf("hints %q", release.Hints(err))
	}
}

func TestChecksValidate(t *testing.T) {
	tests := []struct {
		check Check
		want  string
	}{
		{Check{Preset: "perl", Libs: []string{"lib"}, Scope: "all"}, ""},
		{Check{}, "check x: neither preset nor run is set"},
		{Check{Preset: "perl", Run: "y"}, "check x: preset and run are both set"},
		{Check{Preset: "pearl"}, `check x: preset "pearl": not one of node, perl, php, python, ruby, shell`},
		{Check{Preset: "php", Libs: []string{"lib"}}, "check x: libs are for perl and ruby only"},
		{Check{Run: "y", Scope: "some"}, `check x: scope "some": neither all nor changed`},
		{Check{Run: "y", Files: []string{"[a"}}, `check x: files: "[a" is no pattern`},
	}
	for _, tt := range tests {
		tt.check.Name = "x"
		err := tt.check.Validate()
		if text(err) != tt.want || err != nil && release.ExitCode(err) != release.ExitUsage {
			t.Errorf("got %q, want %q", text(err), tt.want)
		}
	}
}

func TestChecksAsTheServicesUser(t *testing.T) {
	u := nobody(t)
	dir, files := tree(t, map[string]string{"secret.pl": "1;\n", "open.pl": "BEGIN { print STDERR qq{uid $>\\n} }\n"})
	needs(t, "perl", "perl")
	must(t, os.Chmod(filepath.Join(dir, "secret.pl"), 0o600))
	var lines []string
	report, err := RunChecks(t.Context(), ChecksRequest{
		Dir: dir, Files: files, First: true, As: &u, Env: proc.Environment(u, nil),
		Checks: []Check{{Name: "perl", Preset: "perl"}},
		Output: func(line string) { lines = append(lines, line) },
	})
	if report.Total != 1 || report.Failed[0].File != "secret.pl" || !strings.Contains(strings.Join(lines, "\n"), "Permission denied") {
		t.Errorf("got %v, %+v", err, report)
	}
	if !slices.Contains(lines, fmt.Sprintf("uid %d", u.UID)) {
		t.Errorf("got %q", lines)
	}
}
