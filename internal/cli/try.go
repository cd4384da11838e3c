package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/git-rel/rel/internal/deploy"
	"github.com/git-rel/rel/internal/release"
)

// try is the process in which a run starts services before the switch. Its last line, the verdict, says how it went.
func try(stdout *os.File) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	seen, err := deploy.Try(ctx, func(line string) { fmt.Fprintln(stdout, line) })
	if err != nil {
		fmt.Fprintf(stdout, "%s%v\n", deploy.Verdict, err)
		return release.ExitError
	}
	fmt.Fprintf(stdout, "%s%s\n", deploy.Verdict, seen)
	return release.ExitDone
}
