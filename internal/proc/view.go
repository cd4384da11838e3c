package proc

// View is a machine on which one path is something else already: a command that has one runs in a mount namespace of its own, where
// What is mounted over At. Nobody else sees that, and it is gone with the last process that was started in it.
//
// What and At are two directories, or two symlinks: a mount over a symlink stands for the link itself, which no bind mount of
// mount(8) can do. Dir is the directory that At must lead to then; else the command is not started.
//
// Root makes the namespace and puts itself aside before the command runs. Anybody else needs a user namespace for it, in which the
// command keeps its user, but where sudo and other set-uid programs do not work and the files of others belong to nobody.
//
// Private adds namespaces for processes, the network and System V IPC, and an empty /run and /tmp: the command is process 1 there,
// with whose end all others end; the network is a loopback. Of what lies in /run or /tmp only Keep is to be seen.
type View struct {
	What, At string
	Dir      string
	Private  bool
	Keep     string // a directory, as the root
}

// Self, as the Path of a Command, is this program, under the name that it was started by.
const Self = "/proc/self/exe"

// EnterCommand is the first argument that makes this program the one that Enter is for. The second is Enter's.
const EnterCommand = "enter-view"

// InUserNamespace says whether a command with a View runs in a user namespace.
func InUserNamespace() bool { return !CanBecome() }
