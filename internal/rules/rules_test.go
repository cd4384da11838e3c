// Package rules holds what the sources of this project keep to and no compiler checks: which package may import which, and
// what code may not do.
package rules

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/git-rel/rel/"

// base is what every package may import besides what stands in allowed.
var base = []string{"internal/release", "internal/disk", "internal/proc"}

// allowed are the imports within this module beyond base. Packages that are not named have none; "*" is all but cli.
var allowed = map[string][]string{
	"cmd/rel":          {"internal/cli"},
	"internal/cli":     {"*", "hooks"},
	"internal/deploy":  {"*", "hooks"},
	"internal/gitrepo": {"internal/objects", "internal/changelog"},
	"internal/export":  {"internal/objects"},
	"internal/bench":   {"internal/objects", "internal/export", "internal/store"},
}

// only are packages that may import nothing but what stands here, not even base.
var only = map[string][]string{
	"hooks":            {},
	"internal/release": {},
	"internal/disk":    {"internal/release"},
	"internal/proc":    {"internal/release"},
	"internal/objects": {"internal/release", "internal/disk"},
}

// impure is what the nouns must not touch.
var impure = []string{"os", "os/exec", "os/user", "net", "net/http", "io/fs", "path/filepath", "syscall", "golang.org/x/sys/unix"}

type source struct {
	dir  string // of the package, from the top of the project
	name string
	file *ast.File
	set  *token.FileSet
}

// sources are all Go files of the project but its tests, whatever system they are built for.
func sources(t *testing.T) []source {
	t.Helper()
	top := filepath.Join("..", "..")
	var all []source
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != top && (name == "testdata" || name == "releases" || strings.HasPrefix(name, ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		all = append(all, source{dir: filepath.ToSlash(filepath.Dir(rel)), name: filepath.ToSlash(rel), file: file, set: set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no sources found")
	}
	return all
}

func mayImport(from, to string) bool {
	if list, ok := only[from]; ok {
		return slices.Contains(list, to)
	}
	list := allowed[from]
	if slices.Contains(list, "*") && strings.HasPrefix(to, "internal/") && to != "internal/cli" {
		return true
	}
	return slices.Contains(list, to) || from != "cmd/rel" && slices.Contains(base, to)
}

func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		for _, spec := range s.file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			to, inside := strings.CutPrefix(path, module)
			if inside && !mayImport(s.dir, to) {
				t.Errorf("%s: imports %s, which %s may not", s.name, to, s.dir)
			}
			if s.dir == "internal/release" && slices.Contains(impure, path) {
				t.Errorf("%s: imports %s, and the nouns are pure", s.name, path)
			}
		}
	}
}

// The rule itself, on imports that must be found.
func TestMayImport(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"internal/store", "internal/disk", true},
		{"internal/store", "internal/export", false},
		{"internal/gate", "internal/service", false},
		{"internal/disk", "internal/proc", false},
		{"internal/release", "internal/disk", false},
		{"internal/gitrepo", "internal/objects", true},
		{"internal/objects", "internal/proc", false},
		{"internal/deploy", "internal/ui", true},
		{"internal/deploy", "internal/cli", false},
		{"internal/bench", "internal/export", true},
		{"internal/bench", "internal/deploy", false},
		{"internal/cli", "internal/deploy", true},
		{"internal/ui", "hooks", false},
		{"cmd/rel", "internal/cli", true},
		{"cmd/rel", "internal/release", false},
		{"hooks", "internal/release", false},
	} {
		if got := mayImport(c.from, c.to); got != c.want {
			t.Errorf("%s imports %s: %v", c.from, c.to, got)
		}
	}
}

// Only ui and cli talk to a person: what any other package prints would land in a worker's log or break a JSON document.
func TestNobodyElsePrints(t *testing.T) {
	for _, s := range sources(t) {
		if s.dir == "internal/ui" || s.dir == "internal/cli" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			switch fun := call.Fun.(type) {
			case *ast.SelectorExpr:
				if pkg, ok := fun.X.(*ast.Ident); ok && pkg.Name == "fmt" && strings.HasPrefix(fun.Sel.Name, "Print") {
					t.Errorf("%s: fmt.%s", s.set.Position(call.Pos()), fun.Sel.Name)
				}
			case *ast.Ident:
				if fun.Name == "print" || fun.Name == "println" {
					t.Errorf("%s: %s", s.set.Position(call.Pos()), fun.Name)
				}
			}
			return true
		})
	}
}

// Nothing happens before main, nothing aborts the program, and nothing is left for later.
func TestNoInitPanicTODO(t *testing.T) {
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: init", s.set.Position(f.Pos()))
			}
		}
		raised := raisedAgain(s.file)
		ast.Inspect(s.file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && calls(call, "panic") && !raised[call] {
				t.Errorf("%s: panic", s.set.Position(call.Pos()))
			}
			return true
		})
		for _, group := range s.file.Comments {
			for _, word := range []string{"TODO", "FIXME", "XXX"} {
				if strings.Contains(group.Text(), word) {
					t.Errorf("%s: %s", s.set.Position(group.Pos()), word)
				}
			}
		}
	}
}

func calls(call *ast.CallExpr, name string) bool {
	fun, ok := call.Fun.(*ast.Ident)
	return ok && fun.Name == name
}

// raisedAgain are the calls of panic in functions that recover: what they do not know they must pass on.
func raisedAgain(file *ast.File) map[*ast.CallExpr]bool {
	raised := map[*ast.CallExpr]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		f, ok := n.(*ast.FuncLit)
		if !ok {
			return true
		}
		recovers, panics := false, []*ast.CallExpr(nil)
		ast.Inspect(f.Body, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				recovers = recovers || calls(call, "recover")
				if calls(call, "panic") {
					panics = append(panics, call)
				}
			}
			return true
		})
		for _, call := range panics {
			raised[call] = recovers
		}
		return true
	})
	return raised
}
