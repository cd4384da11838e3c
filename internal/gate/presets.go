package gate

import (
	"bufio"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// preset is how the files of a language are checked without being run, as far as the language allows.
type preset struct {
	program string // looked up in the PATH that the command gets
	pkg     string // the Debian package that has it
	files   globs  // checked where the configuration names none
	flags   []string
	libs    bool // takes -I directories
	last    []string
	good    string // in a line that says only that all is well, and is not worth the log
}

// pythonCompile compiles without writing a .pyc and without running anything.
const pythonCompile = `import sys
with open(sys.argv[1], "rb") as f:
    compile(f.read(), sys.argv[1], "exec", dont_inherit=True)`

// presets are the languages. perl: BEGIN blocks and used modules do run; -T drops PERL5LIB and the current directory, as mod_perl
// with PerlTaintCheck does.
func presets() map[string]preset {
	return map[string]preset{
		"perl":   {program: "perl", pkg: "perl", files: globs{"*.pl", "*.pm"}, libs: true, last: []string{"-Tcw"}, good: " syntax OK"},
		"php":    {program: "php", pkg: "php-cli", files: globs{"*.php"}, flags: []string{"-l"}, good: "No syntax errors detected in "},
		"python": {program: "python3", pkg: "python3", files: globs{"*.py"}, flags: []string{"-I", "-c", pythonCompile}},
		"ruby":   {program: "ruby", pkg: "ruby", files: globs{"*.rb"}, libs: true, last: []string{"-wc"}, good: "Syntax OK"},
		"node":   {program: "node", pkg: "nodejs", files: globs{"*.js", "*.cjs", "*.mjs"}, flags: []string{"--check"}},
		"shell":  {program: "sh", pkg: "dash", files: globs{"*.sh", "*.bash"}, flags: []string{"-n"}},
	}
}

func presetNames() []string { return slices.Sorted(maps.Keys(presets())) }

// args are the program's arguments for one file; dir is the release, which libs are relative to.
func (p preset) args(dir string, libs []string, file string) []string {
	args := slices.Clone(p.flags)
	for _, lib := range libs {
		if !filepath.IsAbs(lib) {
			lib = filepath.Join(dir, lib)
		}
		args = append(args, "-I"+lib)
	}
	return append(append(args, p.last...), operand(file))
}

// operand is a file as an argument that no program takes for an option.
func operand(file string) string {
	if strings.HasPrefix(file, "-") {
		return "./" + file
	}
	return file
}

// shells are the programs that the preset "shell" knows, and their Debian packages.
func shells() map[string]string {
	return map[string]string{"sh": "dash", "dash": "dash", "bash": "bash", "ksh": "ksh", "mksh": "mksh", "zsh": "zsh"}
}

// shellOf says which shell a file is for: by its first line, else by its name, else sh. ok is false where the first line says that
// it is for something else.
func shellOf(dir, file string) (shell, pkg string, ok bool, err error) {
	first, err := firstLine(filepath.Join(dir, file))
	if err != nil {
		return "", "", false, err
	}
	shell = interpreter(first)
	if shell == "" && path.Ext(file) == ".bash" {
		shell = "bash"
	} else if shell == "" {
		shell = "sh"
	}
	pkg, ok = shells()[shell]
	return shell, pkg, ok, nil
}

func firstLine(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", plain(err)
	}
	defer f.Close()
	const longest = 512 // more than the kernel reads of it
	line, err := bufio.NewReader(io.LimitReader(f, longest)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", err
	}
	return line, nil
}

// interpreter is the base name of the program in a "#!" line, also behind env; empty where there is none.
func interpreter(line string) string {
	rest, found := strings.CutPrefix(line, "#!")
	if !found {
		return ""
	}
	for i, word := range strings.Fields(rest) {
		option := strings.HasPrefix(word, "-") || strings.Contains(word, "=")
		if name := path.Base(word); (i == 0 && name != "env") || (i > 0 && !option) {
			return name
		}
	}
	return ""
}
