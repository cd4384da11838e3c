package ui

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

const (
	gap       = 2   // columns between cells
	minColumn = 6   // no column is made narrower than this or its header, whatever the terminal
	longTable = 500 // rows
)

// Table writes rows under headers to stdout, without rules or frames: words and space. On a terminal the widest columns are
// narrowed until it fits, and their cells go on in the next line, so that nothing is left out. Columns headed "state" and
// "outcome" are coloured; cells are escaped here.
func (p *Printer) Table(headers []string, rows [][]string) error {
	cells := make([][]string, 0, len(rows))
	widths, floors := make([]int, len(headers)), make([]int, len(headers))
	for i, h := range headers {
		widths[i], floors[i] = width(h), max(width(h), minColumn)
	}
	for _, row := range rows {
		line := make([]string, len(headers))
		for i := range min(len(row), len(headers)) {
			line[i] = Escape(row[i])
			widths[i] = max(widths[i], width(line[i]))
		}
		cells = append(cells, line)
	}
	if p.o.Out.Width > 0 {
		narrow(widths, floors, p.o.Out.Width-gap*(len(headers)-1))
	}
	head := make([]string, len(headers))
	for i, h := range headers {
		head[i] = p.outPaint.dim(strings.ToUpper(h))
	}
	for _, line := range cells {
		for i := range line {
			line[i] = p.cell(headers[i], line[i], widths[i])
		}
	}
	text, err := "", error(nil)
	if len(cells) > longTable {
		text = layOut(head, cells)
	} else if text, err = render(head, cells); err != nil {
		return err
	}
	p.write(text)
	return nil
}

// render has the table writer lay out cells that are wrapped and painted.
func render(head []string, cells [][]string) (string, error) {
	var buf bytes.Buffer
	table := newTable(&buf)
	table.Header(head)
	for _, line := range cells {
		if err := table.Append(line); err != nil {
			return "", err
		}
	}
	if err := table.Render(); err != nil {
		return "", err
	}
	return tidy(buf.String()), nil
}

// layOut gives what render gives, for tables of more than longTable rows: the table writer takes some 25 µs for each, and a
// repository may have 10,000 tags.
func layOut(head []string, cells [][]string) string {
	widths := make([]int, len(head))
	size := 0
	for _, row := range append([][]string{head}, cells...) {
		for i, cell := range row {
			for line := range strings.SplitSeq(cell, "\n") {
				widths[i] = max(widths[i], width(line))
			}
		}
	}
	for _, w := range widths {
		size += w + gap
	}
	var b strings.Builder
	b.Grow(size * (len(cells) + 1))
	layRow(&b, widths, head)
	for _, row := range cells {
		layRow(&b, widths, row)
	}
	return b.String()
}

// layRow writes a row, whose cells may have several lines. It takes the cells' text away.
func layRow(b *strings.Builder, widths []int, row []string) {
	for more := true; more; {
		more = false
		owed := 0 // spaces, written only before more text
		for i, cell := range row {
			line, rest, found := strings.Cut(cell, "\n")
			row[i], more = rest, more || found
			if line != "" {
				for ; owed > 0; owed-- {
					b.WriteByte(' ')
				}
				b.WriteString(line)
			}
			owed += widths[i] - width(line) + gap
		}
		b.WriteByte('\n')
	}
}

func (p *Printer) cell(header, text string, width int) string {
	if len(text) > width { // in bytes: a column takes one at least
		text = strings.Join(wrap(text, width), "\n")
	}
	if header == "state" || header == "outcome" {
		return p.outPaint.state(text)
	}
	return text
}

// newTable is a table that leaves cells as they are: wrapping and colour are done before.
func newTable(buf *bytes.Buffer) *tablewriter.Table {
	cells := tw.CellConfig{
		Formatting: tw.CellFormatting{AutoFormat: tw.Off, AutoWrap: tw.WrapNone},
		Alignment:  tw.CellAlignment{Global: tw.AlignLeft},
		Padding:    tw.CellPadding{Global: tw.Padding{Right: strings.Repeat(" ", gap), Overwrite: true}},
	}
	return tablewriter.NewTable(buf,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders:  tw.BorderNone,
			Symbols:  tw.NewSymbols(tw.StyleNone),
			Settings: tw.Settings{Separators: tw.SeparatorsNone, Lines: tw.LinesNone},
		})),
		tablewriter.WithConfig(tablewriter.Config{
			Header: cells, Row: cells,
			Behavior: tw.Behavior{TrimSpace: tw.Off, AutoHide: tw.Off},
		}))
}

// narrow takes columns from the widest until all together fit into total, or none may be narrower.
func narrow(widths, floors []int, total int) {
	sum := 0
	for _, w := range widths {
		sum += w
	}
	for ; sum > total; sum-- {
		widest := -1
		for i, w := range widths {
			if w > floors[i] && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

// wrap breaks text into lines of at most n columns: between words, or within a word that is longer than a line.
func wrap(text string, n int) []string {
	var lines []string
	for width(text) > n {
		end, space, used := 0, 0, 0
		for i, r := range text {
			w := width(string(r))
			if used+w > n && i > 0 {
				break
			}
			if used += w; r == ' ' {
				space = i
			}
			end = i + len(string(r))
		}
		next := end
		if end < len(text) && text[end] == ' ' {
			next = end + 1
		} else if space > 0 {
			end, next = space, space+1
		}
		lines = append(lines, strings.TrimRight(text[:end], " "))
		text = text[next:]
	}
	if text != "" || len(lines) == 0 {
		lines = append(lines, text)
	}
	return lines
}

// The table writer pads coloured cells and resets the colour once more after the padding.
var (
	resetTwice = regexp.MustCompile(`(\x1b\[0m *)\x1b\[0m`)
	trailing   = regexp.MustCompile(`(?m) +$`)
)

func tidy(s string) string {
	return trailing.ReplaceAllString(resetTwice.ReplaceAllString(s, "$1"), "")
}

// Fields writes names and values to stdout, a line for each: what status shows of one thing. A value of several lines goes on
// under itself.
func (p *Printer) Fields(fields [][2]string) {
	widest := 0
	for _, f := range fields {
		widest = max(widest, width(f[0]))
	}
	for _, f := range fields {
		name := f[0] + strings.Repeat(" ", widest-width(f[0])+gap)
		for i, line := range strings.Split(escapeLines(f[1]), "\n") {
			if i > 0 {
				name = strings.Repeat(" ", widest+gap)
			}
			p.write(strings.TrimRight(p.outPaint.dim(name)+p.outPaint.state(line), " ") + "\n")
		}
	}
}
