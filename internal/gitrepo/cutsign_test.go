package gitrepo

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/release"
)

func TestCutSigns(t *testing.T) {
	needs(t, "ssh-keygen", "openssh-client")
	r := logged(t)
	key := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r.git("config", "gpg.format", "ssh")
	r.git("config", "user.signingKey", key)
	repo := r.open()
	mustCut(t, repo, CutOptions{Part: Minor, Sign: true})
	if out := r.git("cat-file", "tag", "v1.3.0"); !strings.Contains(out, "BEGIN SSH SIGNATURE") {
		t.Error(out)
	}
	r.git("config", "tag.gpgSign", "true")
	if cut := mustCut(t, repo, CutOptions{Part: Minor}); !cut.Signed || !strings.Contains(r.git("cat-file", "tag", "v1.4.0"), "BEGIN SSH SIGNATURE") {
		t.Errorf("%+v", cut)
	}
	// A key that is there and cannot be used shows when git signs; before that nothing can tell.
	if err := os.WriteFile(key, []byte("no key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := repo.Cut(bg, CutOptions{Part: Minor, Sign: true, Now: cutTime})
	if err == nil || !strings.HasPrefix(err.Error(), "v1.5.0: git tag") || slices.Contains(strings.Fields(r.git("tag")), "v1.5.0") {
		t.Error(err)
	}
	before := r.state()
	r.git("config", "user.signingKey", key+"-gone")
	refuseCut(t, repo, CutOptions{Part: Minor, Sign: true}, release.ExitError, "git: user.signingKey: stat ")
	r.git("config", "--unset", "user.signingKey")
	refuseCut(t, repo, CutOptions{Part: Minor}, release.ExitError, "git: user.signingKey names no SSH key")
	if r.state() != before {
		t.Error("something has changed")
	}
}

func TestCutSignsWithAgent(t *testing.T) {
	needs(t, "ssh-agent", "openssh-client")
	s := newSigning(t)
	socket := filepath.Join(t.TempDir(), "agent")
	agent := exec.Command("ssh-agent", "-D", "-a", socket)
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := agent.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = agent.Wait()
	})
	for range 500 {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Setenv("SSH_AUTH_SOCK", socket)
	s.run("ssh-add", "-q", s.private("dana"))
	s.git("config", "user.signingKey", "key::"+s.pub("dana"))
	if err := os.Remove(s.private("dana")); err != nil {
		t.Fatal(err)
	}
	if cut := mustCut(t, s.open(), CutOptions{Tag: "v1.0", Sign: true}); !cut.Signed {
		t.Errorf("%+v", cut)
	}
	if signed, err := s.verdict("v1.0", s.signers("dana@example.org "+s.pub("dana")), ""); err != nil || signed.Signer != "dana@example.org" {
		t.Error(signed, err)
	}
}
