// Package journal owns what rel knows of runs: the journal of the run in flight (.rel/journal), the history of finished
// runs (.rel/history) and the ledger, what the history adds up to (.rel/ledger).
//
// The journal never allocates once it is made, so that a rollback can be recorded on a disk with no free block and no free
// inode. A finished run stays in the journal until its line in the history is synced; whoever reads the history is given
// such runs too.
package journal

import (
	"time"

	"github.com/git-rel/rel/internal/release"
)

// Phase is how far a run has come, as far as recovery has to tell. A phase that ends in -ing is recorded before the work
// it names, one that ends in -ed after it.
type Phase string

// The phases of a run. Up to Prepared nothing that is live was touched; from Stopping on the run goes on to Finished or
// back.
const (
	Begun      Phase = "begun"      // the run has its number; it resolves, exports, builds, checks
	Prepared   Phase = "prepared"   // the release is ready, and the record says what is there now
	Stopping   Phase = "stopping"   // services are being stopped
	Stopped    Phase = "stopped"    // services are down
	Switching  Phase = "switching"  // the live path is being switched: only the disk knows where it leads
	Switched   Phase = "switched"   // the live path leads to the release wanted
	Starting   Phase = "starting"   // services are being started, restarted or gracefully restarted
	Started    Phase = "started"    // new processes run
	Soaking    Phase = "soaking"    // health passed, and is asked on for a while: a rollback ends that
	Healthy    Phase = "healthy"    // health passed: from here on recovery confirms
	Confirming Phase = "confirming" // waits for rel confirm until Record.ConfirmBy; recovery goes on waiting
	Reverting  Phase = "reverting"  // what was there before is being restored
	Finished   Phase = "finished"   // Record.Run is the whole outcome
)

// Record is one state of the journal: the run in flight and what recovery needs to finish or undo it. What does not
// change in a run is repeated in every record of it.
type Record struct {
	Run       release.Run  `json:"run"`
	Phase     Phase        `json:"phase"`
	Step      release.Step `json:"step,omitempty"`
	Boot      string       `json:"boot,omitempty"`     // the boot id: after a reboot no pid in here means anything
	PID       int          `json:"pid,omitempty"`      // the worker
	Start     uint64       `json:"start,omitempty"`    // the worker's start, boot ticks
	Services  []ServiceWas `json:"services,omitempty"` // as they were before the run, in the order of starting
	Groups    []Group      `json:"groups,omitempty"`   // of commands in flight: recovery ends them first
	BeforeRan bool         `json:"before_ran,omitempty"`
	StoppedAt time.Time    `json:"stopped_at,omitzero"` // when the downtime began
	ConfirmBy time.Time    `json:"confirm_by,omitzero"`
	// ConfirmWithin is how long the run waits for rel confirm once it is healthy; 0 if it does not.
	ConfirmWithin time.Duration `json:"confirm_within,omitempty"`
	// Service is the one that a start, stop, restart or graceful was asked of; empty for all.
	Service string `json:"service,omitempty"`
}

// ServiceWas is a service as the run found it, which is what a revert restores.
type ServiceWas struct {
	Name  string `json:"name"`
	Up    bool   `json:"up,omitempty"`
	PID   int    `json:"pid,omitempty"`   // of its master
	Start uint64 `json:"start,omitempty"` // its master's start, boot ticks
}

// Group is a process group that a run started, told apart from later users of its number by its leader's start.
type Group struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // boot ticks
}
