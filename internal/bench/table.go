//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// table prints a table in Markdown under a heading, with the machine that it was measured on.
func (b *bench) table(title, about string, header []string, rows [][]string) {
	fmt.Fprintf(b.out, "### %s\n\n%s\n%s\n\n", title, about, b.machine)
	fmt.Fprintf(b.out, "| %s |\n|%s\n", strings.Join(header, " | "), strings.Repeat("---|", len(header)))
	for _, row := range rows {
		fmt.Fprintf(b.out, "| %s |\n", strings.Join(row, " | "))
	}
	fmt.Fprintln(b.out)
}

// describe is the machine and the versions.
func describe(ctx context.Context) (string, error) {
	git, err := output(ctx, "git", "--version")
	if err != nil {
		return "", err
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", err
	}
	model := runtime.GOARCH
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "", err
	}
	if _, rest, found := strings.Cut(string(info), "model name"); found {
		line, _, _ := strings.Cut(rest, "\n")
		model = strings.Trim(line, "\t :")
	}
	return fmt.Sprintf("%d cores (%s), Linux %s, %s, %s.", runtime.NumCPU(), model, unix.ByteSliceToString(u.Release[:]), git, runtime.Version()), nil
}

// ms is a duration in milliseconds with three digits that tell.
func ms(d time.Duration) string {
	v := float64(d) / float64(time.Millisecond)
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func mb(bytes int64) string {
	if v := float64(bytes) / 1e6; v < 10 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", float64(bytes)/1e6)
}

// target is a figure that must not be over a bound.
type target struct {
	what   string
	figure float64
	most   float64
	unit   string
}

func (t target) met() bool { return t.figure <= t.most }

func (t target) bound() string { return strings.TrimSpace(fmt.Sprintf("≤ %g %s", t.most, t.unit)) }

// verdict is what a row says of its target.
func (t target) verdict() string {
	if t.met() {
		return "target " + t.bound() + ": met"
	}
	return "target " + t.bound() + ": **missed**"
}

// must notes a target for the table at the end.
func (b *bench) must(t target) string {
	b.targets = append(b.targets, t)
	return t.verdict()
}

func (b *bench) printTargets() {
	if len(b.targets) == 0 {
		return
	}
	var rows [][]string
	for _, t := range b.targets {
		verdict := "met"
		if !t.met() {
			verdict = "**missed**"
		}
		rows = append(rows, []string{t.what, strings.TrimSpace(fmt.Sprintf("%.3g %s", t.figure, t.unit)), t.bound(), verdict})
	}
	b.table("Targets", "Every target, with its figure of this run.", []string{"measure", "figure", "target", ""}, rows)
}
