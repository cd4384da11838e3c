package proc

import (
	"fmt"
	"os/user"
	"sort"
	"strconv"
	"strings"

	"github.com/git-rel/rel/internal/release"
)

// User is an account and all the groups that a process of it has.
type User struct {
	Name     string
	UID, GID uint32
	Groups   []uint32 // supplementary groups, GID among them
	Home     string
}

// LookupUser finds an account by its name, or by its number.
func LookupUser(name string) (User, error) {
	found, err := user.Lookup(name)
	if err != nil {
		if _, bad := strconv.ParseUint(name, 10, 32); bad == nil {
			found, err = user.LookupId(name)
		}
	}
	if err != nil {
		return User{}, release.Errorf(release.ExitError, "user %q: %w", name, err).Hint("getent passwd lists the users of this machine")
	}
	return fromEntry(found)
}

// UserOf finds the account with a number. A number without an account, as containers have, is an error.
func UserOf(uid uint32) (User, error) {
	found, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return User{}, release.Errorf(release.ExitError, "uid %d: %w", uid, err)
	}
	return fromEntry(found)
}

func fromEntry(entry *user.User) (User, error) {
	u := User{Name: entry.Username, Home: entry.HomeDir}
	ids := []string{entry.Uid, entry.Gid}
	groups, err := entry.GroupIds()
	if err != nil {
		return User{}, fmt.Errorf("groups of user %q: %w", entry.Username, err)
	}
	numbers := make([]uint32, 0, len(ids)+len(groups))
	for _, id := range append(ids, groups...) {
		n, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return User{}, fmt.Errorf("user %q: id %q: %w", entry.Username, id, err)
		}
		numbers = append(numbers, uint32(n))
	}
	u.UID, u.GID, u.Groups = numbers[0], numbers[1], numbers[2:]
	return u, nil
}

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Environment is the whole environment of a command, sorted: PATH, HOME, USER, LANG, and extra over these. GIT_*, SSH_* and SUDO_*
// are never in it, whoever asks: inside a git hook they would lead git to another repository.
func Environment(u User, extra map[string]string) []string {
	all := map[string]string{"PATH": defaultPath, "HOME": u.Home, "USER": u.Name, "LANG": "C.UTF-8"}
	for name, value := range extra {
		all[name] = value
	}
	env := make([]string, 0, len(all))
	for name, value := range all {
		if !foreign(name) {
			env = append(env, name+"="+value)
		}
	}
	sort.Strings(env)
	return env
}

func foreign(name string) bool {
	return strings.HasPrefix(name, "GIT_") || strings.HasPrefix(name, "SSH_") || strings.HasPrefix(name, "SUDO_")
}

// lookEnv is the value of a variable in an environment, the last one if it is there twice.
func lookEnv(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(env[i], name+"="); ok {
			return value
		}
	}
	return ""
}
