//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// generation is part of the names of generated repositories: another one when what is generated changes.
const generation = 2

// generate makes, unless the cache has it, a bare repository from what write gives to git fast-import, with all refs packed. It is
// the same on every machine.
func (b *bench) generate(ctx context.Context, name string, write func(*bufio.Writer)) (gitDir string, err error) {
	gitDir = filepath.Join(b.cache, fmt.Sprintf("%s-%d.git", name, generation))
	if _, err := os.Stat(gitDir); err == nil {
		return gitDir, nil
	}
	began := time.Now()
	making := gitDir + ".making"
	if err := os.RemoveAll(making); err != nil {
		return "", err
	}
	defer os.RemoveAll(making)
	if err := run(ctx, "git", "init", "-q", "--bare", making); err != nil {
		return "", err
	}
	in, out := io.Pipe()
	go func() {
		w := bufio.NewWriterSize(out, 1<<20)
		write(w)
		out.CloseWithError(w.Flush())
	}()
	cmd := command(ctx, []string{"git", "--git-dir=" + making, "-c", "core.fsync=none", "-c", "fastimport.unpackLimit=0", "fast-import", "--quiet"})
	cmd.Stdin = in
	report, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", name, err, report)
	}
	if err := run(ctx, "git", "--git-dir="+making, "-c", "core.fsync=none", "pack-refs", "--all"); err != nil {
		return "", err
	}
	b.tell("%s generated in %s", gitDir, time.Since(began).Round(time.Second))
	return gitDir, os.Rename(making, gitDir)
}

func commit(w io.Writer, n int) {
	fmt.Fprintf(w, "commit refs/heads/main\nmark :%d\ncommitter A <a@example.org> %d +0000\ndata 1\nx\n", 1<<30+n, 1700000000+n)
}

func annotate(w io.Writer, name string, n int) {
	fmt.Fprintf(w, "tag %s\nfrom :%d\ntagger A <a@example.org> %d +0000\ndata %d\n%s\n", name, 1<<30+n, 1700000000+n, len(name), name)
}

func data(w io.Writer, text []byte) {
	fmt.Fprintf(w, "data %d\n", len(text))
	_, _ = w.Write(text) // the bufio.Writer keeps an error until Flush
	fmt.Fprintln(w)
}

// deep writes 5,000 files in 160 directories and a history of so many commits, each of which changes one file two levels down and
// so makes five objects; a tag stands after every twenty. Some files change often, many hardly ever. The newest version of a file
// comes first in the pack, the older ones are deltas, as git packs them.
func deep(commits int) func(*bufio.Writer) {
	const files = 5000
	return func(w *bufio.Writer) {
		p := newProse()
		changed := make([]int, commits) // which file by each commit
		versions := make([]int, files)
		for n := range changed {
			f := p.rnd.IntN(1 + p.rnd.IntN(files))
			changed[n] = f
			versions[f]++
		}
		first := make([]int, files) // the mark of each file's first version
		for f, mark := 0, 1; f < files; f++ {
			text := [][][]byte{p.file(9_000)}
			for v := range versions[f] {
				text = append(text, p.edit(text[v]))
			}
			p.separate(w)
			for v := versions[f]; v >= 0; v-- {
				fmt.Fprintf(w, "blob\nmark :%d\n", mark+v)
				data(w, bytes.Join(text[v], nil))
			}
			first[f], mark = mark, mark+len(text)
		}
		modify := func(f int) {
			fmt.Fprintf(w, "M 100644 :%d d%d/sub%d/file%d.txt\n", first[f], f%10, f%150, f)
			first[f]++
		}
		commit(w, 0)
		for f := range files {
			modify(f)
		}
		for n, f := range changed {
			commit(w, n+1)
			modify(f)
			if (n+1)%20 == 0 {
				annotate(w, fmt.Sprintf("v%d", (n+1)/20), n+1)
			}
		}
	}
}

// wide writes so many files of 4 KB on average in a thousand directories, and eight tags, each of which changes 300 files.
func wide(files int) func(*bufio.Writer) {
	return func(w *bufio.Writer) {
		p := newProse()
		text := make([][][]byte, files)
		blob := func(f int) {
			p.separate(w)
			fmt.Fprintf(w, "blob\nmark :%d\n", 1+f)
			data(w, bytes.Join(text[f], nil))
		}
		modify := func(f int) {
			fmt.Fprintf(w, "M 100644 :%d d%d/sub%d/dir%d/file%d.txt\n", 1+f, f%10, f/10%10, f/100%10, f)
		}
		for f := range text {
			text[f] = p.file(4000)
			blob(f)
		}
		commit(w, 0)
		for f := range text {
			modify(f)
		}
		annotate(w, "v1", 0)
		for n := 1; n < 8; n++ {
			changed := p.rnd.Perm(files)[:300]
			for _, f := range changed {
				text[f] = p.edit(text[f])
				blob(f)
			}
			commit(w, n)
			for _, f := range changed {
				modify(f)
			}
			annotate(w, fmt.Sprintf("v%d", n+1), n)
		}
	}
}

// large writes one file of so many bytes, a quarter of which no compression makes smaller.
func large(size int64) func(*bufio.Writer) {
	return func(w *bufio.Writer) {
		rnd := rand.NewChaCha8([32]byte{1})
		chunk := make([]byte, 1<<20)
		commit(w, 0)
		fmt.Fprintf(w, "M 100644 inline large\ndata %d\n", size)
		for range size / int64(len(chunk)) {
			_, _ = rnd.Read(chunk[:len(chunk)/4]) // it returns no error
			_, _ = w.Write(chunk)                 // the bufio.Writer keeps an error until Flush
		}
		fmt.Fprintln(w)
		annotate(w, "v1", 0)
	}
}

// tagged writes a commit for each of so many tags, v0.0 to v0.99, v1.0 and so on, in a tree of 20 files of which each changes one.
func tagged(tags int) func(*bufio.Writer) {
	return func(w *bufio.Writer) {
		for n := range tags {
			commit(w, n)
			for f := range 20 {
				if n == 0 || n%20 == f {
					fmt.Fprintf(w, "M 100644 inline file%02d\n", f)
					data(w, fmt.Appendf(nil, "%d\n", n))
				}
			}
			annotate(w, fmt.Sprintf("v%d.%d", n/100, n%100), n)
		}
	}
}
