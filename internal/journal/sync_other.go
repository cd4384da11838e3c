//go:build !linux

package journal

import "os"

// syncData makes what was written to f last, its size included.
func syncData(f *os.File) error { return f.Sync() }
