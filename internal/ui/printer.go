// Package ui owns what a person sees: results on stdout, progress and errors on stderr, as tables, lines, colour and JSON.
// Whatever comes from outside (tag names, messages, output of commands) is shown with its control characters escaped.
package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/release"
)

// Stream is where output goes, and what is known of it.
type Stream struct {
	W        io.Writer
	Terminal bool
	Width    int // in columns; 0 where lines may have any length
}

const defaultWidth = 80

// FileStream looks at f: a terminal has a width, a file or pipe has none.
func FileStream(f *os.File) Stream {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return Stream{W: f}
	}
	if size.Col == 0 {
		return Stream{W: f, Terminal: true, Width: defaultWidth}
	}
	return Stream{W: f, Terminal: true, Width: int(size.Col)}
}

// Options make a Printer.
type Options struct {
	Out, Err Stream
	Color    string              // "auto", which is also "", "always" or "never"
	Getenv   func(string) string // asked for NO_COLOR and TERM
	JSON     bool                // results are one JSON document; callers ask for it with Printer.JSON
	Quiet    bool                // no progress, only what went wrong
	Verbose  bool                // the output of commands as it comes
	Location *time.Location      // of the times shown; nil is local
}

// Printer writes to both streams. Its methods may be called from several goroutines. A write to Err that does not succeed is
// dropped, since nobody is left to tell; of those to Out, Close reports the first.
type Printer struct {
	o         Options
	mu        sync.Mutex
	outPaint  paint
	errPaint  paint
	cursor    bool // Err is a terminal on which a line can be drawn again
	transient bool // such a line is there now
	outErr    error
}

// New makes a Printer. A colour mode that is none exits with release.ExitUsage.
func New(o Options) (*Printer, error) {
	if o.Location == nil {
		o.Location = time.Local
	}
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	p := &Printer{o: o}
	able := o.Getenv("TERM") != "dumb" && o.Getenv("TERM") != ""
	p.cursor = o.Err.Terminal && able
	switch o.Color {
	case "always":
		p.outPaint, p.errPaint = true, true
	case "never":
	case "auto", "":
		able = able && o.Getenv("NO_COLOR") == ""
		p.outPaint, p.errPaint = paint(o.Out.Terminal && able), paint(o.Err.Terminal && able)
	default:
		return nil, release.Errorf(release.ExitUsage, "--color %s: it is none of auto, always, never", o.Color)
	}
	return p, nil
}

// Close takes away a line that is drawn for the moment and gives the first error of writing results.
func (p *Printer) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	return p.outErr
}

// Line writes a result to stdout. Line breaks stay, other control characters are escaped.
func (p *Printer) Line(format string, args ...any) {
	p.write(escapeLines(fmt.Sprintf(format, args...)) + "\n")
}

// LogLine writes a line of somebody's log to stdout, escaped, in the colour of its severity: "error", "warning", or none.
func (p *Printer) LogLine(line, severity string) {
	text := output(line)
	switch severity {
	case "error":
		text = p.outPaint.red(text)
	case "warning":
		text = p.outPaint.yellow(text)
	}
	p.write(text + "\n")
}

// Raw writes a result to stdout as it is: what another program reads, as a completion script.
func (p *Printer) Raw(data []byte) { p.write(string(data)) }

func (p *Printer) write(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	if _, err := io.WriteString(p.o.Out.W, text); err != nil && p.outErr == nil {
		p.outErr = err
	}
}

// JSON writes v to stdout as one indented document.
func (p *Printer) JSON(v any) error {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	p.write(escapeJSON(buf.String()))
	return nil
}

// escapeJSON writes what is not printable as \u escapes, which mean the same to a reader of JSON and nothing to a terminal.
func escapeJSON(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r < utf8.RuneSelf && r != 0x7f, unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// Info writes a line of progress to stderr, unless quiet.
func (p *Printer) Info(format string, args ...any) {
	if !p.o.Quiet {
		p.errLine(escapeLines(fmt.Sprintf(format, args...)))
	}
}

// Warn writes a warning to stderr.
func (p *Printer) Warn(format string, args ...any) {
	p.errLine(p.errPaint.yellow("warning:") + " " + escapeLines(fmt.Sprintf(format, args...)))
}

// Err writes err and its hints to stderr; nothing for nil.
func (p *Printer) Err(err error) {
	if err == nil {
		return
	}
	p.errLine(p.errPaint.red("rel:") + " " + escapeLines(err.Error()))
	for _, hint := range release.Hints(err) {
		p.Hint(hint)
	}
}

// Hint writes a line with what to type to stderr.
func (p *Printer) Hint(hint string) {
	p.errLine(p.errPaint.cyan("hint:") + " " + Escape(hint))
}

// errLine writes lines that are escaped and painted already.
func (p *Printer) errLine(lines ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	p.toErr(strings.Join(lines, "\n") + "\n")
}

func (p *Printer) toErr(text string) {
	_, _ = io.WriteString(p.o.Err.W, text) // see Printer: nobody is left to tell
}

// erase takes away the line that is drawn for the moment.
func (p *Printer) erase() {
	if p.transient {
		p.toErr("\r\x1b[K")
		p.transient = false
	}
}

// draw shows a line for the moment, cut to the terminal's width. The text is escaped and not painted.
func (p *Printer) draw(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.toErr("\r\x1b[K" + p.errPaint.dim(cut(text, p.o.Err.Width-1)))
	p.transient = true
}

// Width is how many columns results may take; 0 where lines may have any length.
func (p *Printer) Width() int { return p.o.Out.Width }
