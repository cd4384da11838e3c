package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The benchmarks time whole processes, from fork to exit: what a person waits for. Beside rel stands "true", which is what the
// machine itself takes for a process, so that the figures can be compared between machines.

func process(b *testing.B, dir, name string, args ...string) {
	b.Helper()
	for b.Loop() {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
	}
}

// benchRoot is a root with so many releases, all on disk, each of 20 files.
func benchRoot(b *testing.B, releases int) string {
	b.Helper()
	b.Setenv("HOME", b.TempDir())
	dir := b.TempDir()
	run := func(name string, args ...string) {
		b.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
	}
	run("git", "init", "-q", "-b", "main")
	run("git", "config", "user.name", "Bench")
	run("git", "config", "user.email", "bench@example.org")
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 20 {
		write(fmt.Sprintf("file%02d", i), fmt.Sprintln(i))
	}
	write("rel.toml", "keep = 1000\n")
	for i := range releases {
		write("version", fmt.Sprintln(i))
		run("git", "add", ".")
		run("git", "commit", "-qm", fmt.Sprintf("v1.%d", i))
		run("git", "tag", "-am", "x", fmt.Sprintf("v1.%d", i))
		run("rel", "-q", "activate", fmt.Sprintf("v1.%d", i))
	}
	return dir
}

func BenchmarkTrue(b *testing.B)    { process(b, b.TempDir(), "true") }
func BenchmarkVersion(b *testing.B) { process(b, b.TempDir(), "rel", "version") }

// Fifty is what a root has after some months.
func BenchmarkFiftyReleases(b *testing.B) {
	dir := benchRoot(b, 50)
	for _, command := range []string{"status", "list", "history"} {
		b.Run(command, func(b *testing.B) { process(b, dir, "rel", command) })
	}
	b.Run("rollback and activate", func(b *testing.B) {
		for b.Loop() {
			for _, args := range [][]string{{"-q", "rollback"}, {"-q", "activate", "v1.49"}} {
				cmd := exec.Command("rel", args...)
				cmd.Dir = dir
				if out, err := cmd.CombinedOutput(); err != nil {
					b.Fatalf("%q: %v\n%s", args, err, out)
				}
			}
		}
	})
}
