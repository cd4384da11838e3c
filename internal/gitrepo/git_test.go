package gitrepo

import "testing"

func TestGitError(t *testing.T) {
	const unread = "fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.\n"
	for text, want := range map[string]string{
		"": "exit code 128",
		"error: one\nhint: do this\nfatal: two\n": "two",
		"just so\nand so\n":                       "just so",
		"Warning: added to the list of known hosts.\nHost key verification failed.\n" + unread: "Host key verification failed.",
		"@@@@\n@ WARNING! @\n@@@@\nDenied.\n" + unread:                                         "Denied.",
		"remote: \nremote: ====\nremote: no such project\nremote: \n" + unread:                 "no such project",
		unread: "Could not read from remote repository.",
		"fatal: Server does not\nfatal: the remote end hung up unexpectedly\n":      "Server does not",
		"error: RPC failed; HTTP 413\nfatal: the remote end hung up unexpectedly\n": "RPC failed; HTTP 413",
	} {
		if got := (&gitError{command: "fetch", code: 128, text: text}).Error(); got != "git fetch: "+want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
