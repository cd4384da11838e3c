package cli

import (
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is how wide a line of help may be, in columns.
const helpWidth = 120

func newRoot() *cobra.Command {
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: func(string) string { return "" }}
	return a.root()
}

// visible are the commands that people see.
func visible(root *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, cmd := range root.Commands() {
		if !cmd.Hidden && cmd.Name() != "help" {
			all = append(all, cmd)
		}
	}
	return all
}

func help(t *testing.T, args ...string) string {
	t.Helper()
	root := newRoot()
	var b strings.Builder
	root.SetOut(&b)
	root.SetErr(&b)
	root.SetArgs(args)
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Every command's help has an example that calls it, and says what its exit codes mean.
func TestHelpOfEveryCommand(t *testing.T) {
	for _, cmd := range visible(newRoot()) {
		t.Run(cmd.Name(), func(t *testing.T) {
			if !strings.Contains(cmd.Example, "rel "+cmd.Name()) {
				t.Errorf("no example calls rel %s: %q", cmd.Name(), cmd.Example)
			}
			text := help(t, cmd.Name(), "--help")
			for _, part := range []string{"EXIT STATUS\n  0 ", "\n  1 ", "\n  2 ", "Usage:\n  rel " + cmd.Name(), "Examples:\n"} {
				if !strings.Contains(text, part) {
					t.Errorf("the help has no %q:\n%s", part, text)
				}
			}
			if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || cmd.Short[:1] != strings.ToLower(cmd.Short[:1]) {
				t.Errorf("its short text is %q: lower case, without a full stop", cmd.Short)
			}
			cmd.Flags().VisitAll(func(f *pflag.Flag) {
				if f.Usage == "" {
					t.Errorf("--%s says nothing", f.Name)
				}
			})
		})
	}
}

// No line of help is too wide, and none has a tab or a space at its end.
func TestHelpWidth(t *testing.T) {
	texts := map[string]string{"rel": help(t, "--help")}
	for _, cmd := range visible(newRoot()) {
		texts[cmd.CommandPath()] = help(t, cmd.Name(), "--help")
	}
	for name, text := range texts {
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if n := utf8.RuneCountInString(line); n > helpWidth {
				t.Errorf("%s: %d columns: %s", name, n, line)
			}
			if strings.TrimRight(line, " \t") != line || strings.Contains(line, "\t") {
				t.Errorf("%s: white space: %q", name, line)
			}
		}
	}
}

// rel help lists every command in a group of its kind, and names every command of the design.
func TestHelpListsCommands(t *testing.T) {
	root := newRoot()
	text := help(t, "help")
	if strings.Contains(text, "Additional Commands") {
		t.Error("a command belongs to no group:\n" + text)
	}
	have := map[string]bool{}
	for _, cmd := range visible(root) {
		have[cmd.Name()] = true
		if cmd.GroupID == "" {
			t.Errorf("rel %s belongs to no group", cmd.Name())
		}
		if !strings.Contains(text, "\n  "+cmd.Name()+" ") {
			t.Errorf("rel help does not list %s", cmd.Name())
		}
	}
	for _, group := range root.Groups() {
		if !strings.Contains(text, "\n"+group.Title+"\n") {
			t.Errorf("rel help does not show the group %q", group.Title)
		}
	}
	for name := range strings.FieldsSeq(`init cut stage activate rollback confirm hold list history status diff err log attach
		start stop restart graceful verify prune recover check demo version completion man`) {
		if !have[name] {
			t.Errorf("there is no rel %s", name)
		}
	}
}

// The manual has a section for every command, with its flags.
func TestManual(t *testing.T) {
	root := newRoot()
	page := string(manual(root))
	for _, cmd := range visible(root) {
		if !strings.Contains(page, ".SS rel "+roff(cmd.Use)+"\n") {
			t.Errorf("the manual has no section of rel %s", cmd.Name())
		}
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if !strings.Contains(page, roff("--"+f.Name)+"\n") {
				t.Errorf("the manual has no --%s of rel %s", f.Name, cmd.Name())
			}
		})
	}
}
