// Command rel is a release manager for services that live on a server and are deployed from git.
package main

import (
	"os"

	"github.com/git-rel/rel/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
