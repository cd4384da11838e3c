package gitrepo

import "bytes"

// splitLines cuts data behind each newline.
func splitLines(data []byte) [][]byte {
	lines := bytes.SplitAfter(data, []byte("\n"))
	if last := len(lines) - 1; len(lines[last]) == 0 {
		lines = lines[:last]
	}
	return lines
}

// maxEdits bounds the work for two files that have little in common: beyond it all that differs counts as replaced.
const maxEdits = 4000

// countChanges is how many lines a shortest edit of a into b adds and deletes.
func countChanges(a, b [][]byte) (added, deleted int) {
	for len(a) > 0 && len(b) > 0 && bytes.Equal(a[0], b[0]) {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && bytes.Equal(a[len(a)-1], b[len(b)-1]) {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	numbers := map[string]int{}
	x, y := numberLines(a, numbers), numberLines(b, numbers)
	edits := shortestEdit(x, y)
	// Of the edits, added - deleted is known from the lengths, so that no script is needed.
	return (edits + len(y) - len(x)) / 2, (edits + len(x) - len(y)) / 2
}

func numberLines(lines [][]byte, numbers map[string]int) []int {
	out := make([]int, len(lines))
	for i, line := range lines {
		n, ok := numbers[string(line)]
		if !ok {
			n = len(numbers)
			numbers[string(line)] = n
		}
		out[i] = n
	}
	return out
}

// shortestEdit is the number of insertions and deletions that make a into b: Myers' O(ND) algorithm, going forward, without
// the trace. Above maxEdits it is the whole of both.
func shortestEdit(a, b []int) int {
	if len(a) == 0 || len(b) == 0 {
		return len(a) + len(b)
	}
	most := min(len(a)+len(b), maxEdits)
	furthest := make([]int, 2*most+3) // by diagonal: how far in a the best path with d edits gets
	mid := most + 1
	for d := 0; d <= most; d++ {
		for k := -d; k <= d; k += 2 {
			x := furthest[mid+k-1] + 1
			if k == -d || k != d && furthest[mid+k-1] < furthest[mid+k+1] {
				x = furthest[mid+k+1]
			}
			for x < len(a) && x-k < len(b) && x-k >= 0 && a[x] == b[x-k] {
				x++
			}
			furthest[mid+k] = x
			if x >= len(a) && x-k >= len(b) {
				return d
			}
		}
	}
	return len(a) + len(b)
}
