package gate

import (
	"io/fs"
	"slices"
	"syscall"

	"github.com/git-rel/rel/internal/proc"
)

// aclEntry is an entry of a POSIX access ACL.
type aclEntry struct {
	tag  uint16
	perm uint32 // rwx, as in a mode
	id   uint32 // of a named user or group
}

// Tags of the entries of a POSIX ACL.
const (
	aclUserObj  = 0x01
	aclUser     = 0x02
	aclGroupObj = 0x04
	aclGroup    = 0x08
	aclMask     = 0x10
	aclOther    = 0x20
)

// Permissions that can be wanted, as in one digit of a mode.
const (
	mayRead uint32 = 4
	mayExec uint32 = 1 // of a directory: search
)

// inodeAccess is all that decides who may access an inode, as far as file systems show it.
type inodeAccess struct {
	mode     fs.FileMode
	uid, gid uint32
	acl      []aclEntry // nil where the mode says it all
}

func accessOf(path string, info fs.FileInfo) (inodeAccess, error) {
	a := inodeAccess{mode: info.Mode()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		a.uid, a.gid = st.Uid, st.Gid
	}
	var err error
	a.acl, err = readACL(path)
	return a, err
}

// allows is the kernel's own decision (acl(5), "access check algorithm"): the first class that fits decides, however little it
// grants and however much a later one would.
func (a inodeAccess) allows(u proc.User, want uint32) bool {
	if u.UID == 0 {
		return want&mayExec == 0 || a.mode.IsDir() || a.mode&0o111 != 0
	}
	acl := a.acl
	if acl == nil || a.mode&0o070 == 0 { // Linux looks at no ACL whose mask, which the group's digit shows, is empty
		acl = []aclEntry{
			{tag: aclUserObj, perm: uint32(a.mode>>6) & 7},
			{tag: aclGroupObj, perm: uint32(a.mode>>3) & 7},
			{tag: aclOther, perm: uint32(a.mode) & 7},
		}
	}
	granted := func(perm uint32) bool { return perm&want == want }
	mask := uint32(7)
	if i := slices.IndexFunc(acl, func(e aclEntry) bool { return e.tag == aclMask }); i >= 0 {
		mask = acl[i].perm
	}
	for _, e := range acl {
		switch {
		case e.tag == aclUserObj && a.uid == u.UID:
			return granted(e.perm)
		case e.tag == aclUser && e.id == u.UID && a.uid != u.UID:
			return granted(e.perm & mask)
		}
	}
	member := false
	for _, e := range acl {
		if e.tag == aclGroupObj && inGroup(u, a.gid) || e.tag == aclGroup && inGroup(u, e.id) {
			if granted(e.perm & mask) {
				return true
			}
			member = true
		}
	}
	if member {
		return false
	}
	i := slices.IndexFunc(acl, func(e aclEntry) bool { return e.tag == aclOther })
	return i >= 0 && granted(acl[i].perm)
}

func inGroup(u proc.User, gid uint32) bool { return gid == u.GID || slices.Contains(u.Groups, gid) }
