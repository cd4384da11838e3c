package rules

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// top is the top of the project, seen from this package.
var top = filepath.Join("..", "..")

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(top, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var (
	templateTable = regexp.MustCompile(`^#?\[\[?([a-z]+)\]`)
	templateKey   = regexp.MustCompile(`^#([a-z_]+) = `)
	docTable      = regexp.MustCompile("^## .*`\\[")
	docCell       = regexp.MustCompile("^\\| `([a-z_.]+)`")
)

// Every key of the configuration's template has a row in the table of its section.
func TestConfigurationNamesEveryKey(t *testing.T) {
	rows := map[string]bool{}
	section := ""
	for line := range strings.Lines(read(t, "docs/configuration.md")) {
		if strings.HasPrefix(line, "## ") {
			section = ""
		}
		if docTable.MatchString(line) {
			section = strings.Trim(line[len("## "):], "`[]\n") + "."
		}
		if m := docCell.FindStringSubmatch(line); m != nil {
			rows[section+m[1]], rows[m[1]] = true, true
		}
	}
	table, keys := "", 0
	for line := range strings.Lines(read(t, "internal/config/template.toml")) {
		if m := templateTable.FindStringSubmatch(line); m != nil {
			table = m[1] + "."
			continue
		}
		m := templateKey.FindStringSubmatch(line)
		if m == nil || table == "env." { // whose names are the user's own
			continue
		}
		keys++
		if key := table + m[1]; !rows[key] {
			t.Errorf("docs/configuration.md: no row for %s", key)
		}
	}
	if keys < 50 {
		t.Errorf("%d keys found in the template: is it read rightly?", keys)
	}
}

var readmeRow = regexp.MustCompile("(?m)^\\| `rel ([a-z]+)` \\|")

// Every command that the program has is in the README's table and in docs/commands.md, and the table has no other.
func TestDocumentsNameEveryCommand(t *testing.T) {
	commands, listed := read(t, "docs/commands.md"), map[string]bool{}
	for _, m := range readmeRow.FindAllStringSubmatch(read(t, "README.md"), -1) {
		listed[m[1]] = true
		if !strings.Contains(commands, "rel "+m[1]) {
			t.Errorf("docs/commands.md: no rel %s", m[1])
		}
	}
	for name := range visibleCommands(t) {
		if !listed[name] {
			t.Errorf("README.md: no row for rel %s", name)
		}
		delete(listed, name)
	}
	for name := range listed {
		t.Errorf("README.md: rel %s: no such command", name)
	}
}

var cliFlag = regexp.MustCompile(`Var(?:P)?\(&[\w.]+, "([a-z-]+)"`)

// Every flag of a command is in docs/commands.md.
func TestDocumentsNameEveryFlag(t *testing.T) {
	commands, found := read(t, "docs/commands.md"), 0
	for _, data := range cliSources(t) {
		for _, m := range cliFlag.FindAllSubmatch(data, -1) {
			flag := string(m[1])
			if flag == "request" || flag == "guarded" { // of the hidden command worker
				continue
			}
			if found++; !strings.Contains(commands, "--"+flag) {
				t.Errorf("docs/commands.md: no --%s", flag)
			}
		}
	}
	if found < 20 {
		t.Errorf("%d flags found: are they read rightly?", found)
	}
}

var (
	commandUse     = regexp.MustCompile(`use:\s+"([a-z]+)`)
	commandControl = regexp.MustCompile(`a\.control\("([a-z]+)"\)`)
)

// visibleCommands are read from the sources of cli, where each has a use and the four of the services share one.
func visibleCommands(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, data := range cliSources(t) {
		for _, pattern := range []*regexp.Regexp{commandUse, commandControl} {
			for _, m := range pattern.FindAllSubmatch(data, -1) {
				found[string(m[1])] = true
			}
		}
	}
	delete(found, "help")
	for _, below := range []string{"drop", "install", "remove"} { // of rel queue and rel hook
		delete(found, below)
	}
	if len(found) < 20 {
		t.Fatalf("%d commands found: are they read rightly?", len(found))
	}
	return found
}

// cliSources are the sources of the package cli, without its tests.
func cliSources(t *testing.T) [][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(top, "internal", "cli", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var sources [][]byte
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, data)
	}
	return sources
}

var (
	namedTest   = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`")
	namedScript = regexp.MustCompile("`([a-z_]+\\.txtar)`")
	namedFile   = regexp.MustCompile("`((?:internal|cmd|docs)/[a-z0-9_/]+\\.(?:go|md|toml))`")
	namedFunc   = regexp.MustCompile("`(?:[A-Za-z]+\\.)*([A-Za-z]+)`\\s+\\(\\[[a-z/]+\\.go\\]\\((internal/[a-z/]+\\.go)\\)[),]")
	testFunc    = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9]+)\(`)
)

// The tests, scripts and files that ARCHITECTURE.md names are there, and the functions in the file that is given for them: what
// moves moves in it too.
func TestArchitectureNamesWhatIsThere(t *testing.T) {
	text := read(t, "ARCHITECTURE.md")
	tests := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(top, "internal", "*", "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range testFunc.FindAllSubmatch(data, -1) {
			tests[string(m[1])] = true
		}
	}
	for _, m := range namedTest.FindAllStringSubmatch(text, -1) {
		if !tests[m[1]] {
			t.Errorf("ARCHITECTURE.md: %s: no such test", m[1])
		}
	}
	named := namedFunc.FindAllStringSubmatch(text, -1)
	if len(named) < 10 {
		t.Errorf("%d functions with their file found in ARCHITECTURE.md: is it read rightly?", len(named))
	}
	for _, m := range named {
		declared := regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + m[1] + `\(`)
		if !declared.MatchString(read(t, m[2])) {
			t.Errorf("ARCHITECTURE.md: %s: not in %s", m[1], m[2])
		}
	}
	paths := []string{}
	for _, m := range namedScript.FindAllStringSubmatch(text, -1) {
		paths = append(paths, "internal/cli/testdata/script/"+m[1])
	}
	for _, m := range namedFile.FindAllStringSubmatch(text, -1) {
		paths = append(paths, m[1])
	}
	for _, path := range paths {
		if _, err := os.Stat(filepath.Join(top, filepath.FromSlash(path))); err != nil {
			t.Errorf("ARCHITECTURE.md: %v", err)
		}
	}
}

var (
	link   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fenced = regexp.MustCompile("(?s)```.*?```")
	noWord = regexp.MustCompile("[^a-z0-9 _-]")
)

// Every link of the documents to something in this project leads there, and to a heading that is there.
func TestLinksLeadSomewhere(t *testing.T) {
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != top && (strings.HasPrefix(name, ".") || name == "testdata" || strings.HasPrefix(name, "2")) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".md") {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllSubmatch(fenced.ReplaceAll(data, nil), -1) {
			checkLink(t, path, string(m[1]))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkLink(t *testing.T, from, to string) {
	t.Helper()
	if strings.Contains(to, "://") {
		return
	}
	file, anchor, _ := strings.Cut(to, "#")
	target := from
	if file != "" {
		target = filepath.Join(filepath.Dir(from), filepath.FromSlash(file))
	}
	data, err := os.ReadFile(target)
	if info, statErr := os.Stat(target); statErr == nil && info.IsDir() {
		data, err = nil, nil
	}
	if err != nil {
		t.Errorf("%s: %s: %v", from, to, err)
		return
	}
	if anchor != "" && !anchors(data)[anchor] {
		t.Errorf("%s: %s: no such heading", from, to)
	}
}

// anchors are the headings of a document as links name them.
func anchors(data []byte) map[string]bool {
	found := map[string]bool{}
	for line := range bytes.Lines(fenced.ReplaceAll(data, nil)) {
		text, heading := strings.CutPrefix(strings.TrimLeft(string(line), "#"), " ")
		if heading && line[0] == '#' {
			text = noWord.ReplaceAllString(strings.ToLower(strings.TrimSpace(text)), "")
			found[strings.ReplaceAll(text, " ", "-")] = true
		}
	}
	return found
}
