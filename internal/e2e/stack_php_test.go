package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/release"
)

// The known trap: PHP keeps where a path led to and what was compiled of it. Without a reload, and asked by the path through the link,
// it goes on with the old release, which rel sees; asked by the real path it cannot.
func TestPHPStaleCode(t *testing.T) {
	for root, exit := range map[string]int{"document_root": release.ExitReverted, "realpath_root": release.ExitDone} {
		t.Run(root, func(t *testing.T) {
			t.Parallel()
			k := phpStack
			v := k.newServer(t, "none")
			edit := func(path, old, text string) {
				data, err := os.ReadFile(path)
				must(t, err)
				must(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(data), old, text)), 0o644))
			}
			edit(filepath.Join(v.dir, "rel.toml"), quickHealth, quickHealth+"timeout = \"1s\"\n")
			edit(filepath.Join(v.dir, "php-fpm.conf"), "max_children = 6", "max_children = 1") // which has seen every path
			site := filepath.Join(filepath.Dir(v.dir), "etc/nginx/sites-available/shop")
			edit(site, "$realpath_root", "$"+root)
			k.begin(v)
			v.said(release.ExitDone, []string{"start"})
			v.said(release.ExitDone, []string{"activate", "v1"}, "release verified")
			said := v.said(exit, []string{"activate", "v2"})
			if exit != release.ExitDone && !strings.Contains(said, `"v1" answers, v2 expected`) {
				t.Errorf("the trap was not seen:\n%s", said)
			}
			v.said(release.ExitDone, []string{"stop"}, "web stopped")
		})
	}
}
