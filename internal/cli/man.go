package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manual is the manual page of the whole program.
func manual(root *cobra.Command) []byte {
	var b strings.Builder
	b.WriteString(".TH REL 1\n.SH NAME\nrel \\- " + roff(root.Short) + "\n.SH SYNOPSIS\n.B rel\n.I command\n[flags]\n.SH DESCRIPTION\n")
	b.WriteString(verbatim(root.Long))
	b.WriteString(".SH GLOBAL FLAGS\n" + manFlags(root.PersistentFlags()))
	b.WriteString(".SH COMMANDS\n")
	for _, cmd := range root.Commands() {
		if cmd.Hidden || cmd.Name() == "help" {
			continue
		}
		fmt.Fprintf(&b, ".SS rel %s\n%s%s", roff(cmd.Use), verbatim(cmd.Long), manFlags(cmd.LocalNonPersistentFlags()))
		fmt.Fprintf(&b, ".PP\nExample:\n%s", verbatim(cmd.Example))
	}
	return []byte(b.String())
}

func manFlags(flags *pflag.FlagSet) string {
	var b strings.Builder
	flags.VisitAll(func(f *pflag.Flag) {
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(name), roff(f.Usage))
	})
	return b.String()
}

// verbatim is text whose lines stay as they are.
func verbatim(text string) string {
	return ".PP\n.nf\n" + roff(text) + "\n.fi\n"
}

// roff escapes what roff would act on: backslashes, hyphens, and a dot or quote that begins a line.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
