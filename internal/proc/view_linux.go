package proc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// entry is what the process that enters a view is told: on a descriptor, since an environment is nobody else's to read, and not in
// its own environment, since what it does there it may do as root.
type entry struct {
	View View
	User *User // to become before the command runs
	Path string
	Args []string
	Env  []string
	Dir  string
}

// refusal is why the command does not run.
type refusal struct {
	View  string // what of the view went wrong; empty where it is the command itself that cannot be started
	Errno syscall.Errno
}

// startInView is start's fork with a view: this program again, which calls Enter. It returns once the command itself is executed.
func (c Command) startInView(path string, argv []string, attr *os.ProcAttr) (*os.Process, error) {
	e := entry{View: *c.View, Path: path, Args: argv, Env: attr.Env, Dir: attr.Dir}
	var err error
	if !InUserNamespace() {
		if e.User, err = c.user(); err != nil {
			return nil, err
		}
	} else if attr.Sys.Credential != nil {
		return nil, unix.EPERM
	}
	told, err := onDescriptor(e)
	if err != nil {
		return nil, err
	}
	defer told.Close()
	answer, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	argv = []string{os.Args[0], EnterCommand, strconv.Itoa(len(attr.Files))}
	attr.Files = append(attr.Files, told, w)
	attr.Dir, attr.Env = "", []string{}
	inNamespace(attr.Sys, c.View.Private)
	var p *os.Process
	err = forkClean(!InUserNamespace(), func() (err error) {
		p, err = os.StartProcess(Self, argv, attr)
		return err
	})
	w.Close() // the child has its own copy
	if err != nil {
		return nil, fmt.Errorf("a mount namespace: %w", err)
	}
	if err := refused(answer, path); err != nil {
		_, waitErr := p.Wait()
		return nil, errors.Join(err, waitErr)
	}
	return p, nil
}

// user is whom the command runs as.
func (c Command) user() (*User, error) {
	if c.As != nil {
		return c.As, nil
	}
	groups, err := syscall.Getgroups()
	u := User{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	for _, g := range groups {
		u.Groups = append(u.Groups, uint32(g))
	}
	return &u, err
}

// inNamespace asks for a mount namespace, and where we are not root for a user namespace around it with the rights that it takes,
// which Enter gives up again. The user stays who it is.
func inNamespace(sys *syscall.SysProcAttr, private bool) {
	sys.Cloneflags |= unix.CLONE_NEWNS
	if private {
		sys.Cloneflags |= unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC
	}
	if !InUserNamespace() {
		sys.Credential = &syscall.Credential{}
		return
	}
	sys.Cloneflags |= unix.CLONE_NEWUSER
	sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
	sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
	sys.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN}
}

func onDescriptor(e entry) (*os.File, error) {
	fd, err := unix.MemfdCreate("rel-view", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd: %w", err)
	}
	file := os.NewFile(uintptr(fd), "rel-view")
	err = json.NewEncoder(file).Encode(e)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// refused waits until the command is executed, which closes the descriptor, or the child has said why it is not.
func refused(answer io.Reader, path string) error {
	text, err := io.ReadAll(answer)
	if err != nil || len(text) == 0 {
		return err
	}
	var r refusal
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("a mount namespace: %w", err)
	}
	if r.View == "" {
		return &os.PathError{Op: "fork/exec", Path: path, Err: r.Errno}
	}
	if r.Errno == 0 {
		return errors.New(r.View)
	}
	return fmt.Errorf("%s: %w", r.View, r.Errno)
}

// Enter is the child's part: it makes the view and becomes the command. It returns only where that cannot be; why is told to the
// parent.
func Enter(descriptor string) {
	runtime.LockOSThread() // rights are a thread's
	fd, err := strconv.Atoi(descriptor)
	if err != nil || fd < 3 {
		return
	}
	answer := os.NewFile(uintptr(fd+1), "answer")
	unix.CloseOnExec(fd + 1)
	var r refusal
	r.View, err = enter(fd)
	errors.As(err, &r.Errno)
	if text, err := json.Marshal(r); err == nil {
		_, _ = answer.Write(text) // who is to read it may be gone
	}
}

// enter gives what of the view went wrong, if it was that.
func enter(fd int) (string, error) {
	told := os.NewFile(uintptr(fd), "told")
	var e entry
	if err := json.NewDecoder(told).Decode(&e); err != nil {
		return "what to run: " + err.Error(), err
	}
	if err := told.Close(); err != nil {
		return "what to run", err
	}
	if what, err := e.View.mount(); what != "" {
		return what, err
	}
	if err := putAside(e.User); err != nil {
		return "rights", err
	}
	if e.Dir != "" {
		if err := unix.Chdir(e.Dir); err != nil {
			return "", err
		}
	}
	return "", syscall.Exec(e.Path, e.Args, e.Env)
}

// mount makes the view in the namespace that we are in, which is ours alone, and sees that it is what was asked for.
func (v View) mount() (string, error) {
	// What is mounted elsewhere comes here too, what goes there goes; nothing of ours goes there.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return "a mount namespace of its own", err
	}
	if v.Private {
		if what, err := v.makePrivate(); err != nil {
			return what, err
		}
	}
	tree, err := clone(v.What)
	if err != nil {
		return "mount " + v.What, err
	}
	if err := attach(tree, v.At); err != nil {
		return "mount over " + v.At, err
	}
	var want, got unix.Stat_t
	if err := unix.Stat(v.Dir, &want); err != nil {
		return v.Dir, err
	}
	if err := unix.Stat(v.At, &got); err != nil {
		return v.At, err
	}
	if want.Dev != got.Dev || want.Ino != got.Ino {
		return fmt.Sprintf("mounted over %s, and it is not %s", v.At, v.Dir), nil
	}
	return "", nil
}

// putAside gives up what the mounts took: to u, or, in a user namespace, by name.
func putAside(u *User) error {
	if u != nil {
		groups := make([]int, len(u.Groups))
		for i, g := range u.Groups {
			groups[i] = int(g)
		}
		if err := syscall.Setgroups(groups); err != nil {
			return err
		}
		if err := syscall.Setresgid(int(u.GID), int(u.GID), int(u.GID)); err != nil {
			return err
		}
		return syscall.Setresuid(int(u.UID), int(u.UID), int(u.UID))
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return unix.Capset(&header, &none[0])
}
