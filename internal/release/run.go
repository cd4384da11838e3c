package release

import "time"

// Step is a stage of a run.
type Step string

// The steps of a run, in order; Recover comes before all of them and Revert after whichever went wrong.
const (
	StepRecover Step = "recover"
	StepGate    Step = "gate" // of a push that git has not accepted yet; in no run
	StepResolve Step = "resolve"
	StepSpace   Step = "space"
	StepExport  Step = "export"
	StepBuild   Step = "build"
	StepCheck   Step = "check"
	StepBefore  Step = "before"
	StepStop    Step = "stop"
	StepSwitch  Step = "switch"
	StepStart   Step = "start"
	StepHealth  Step = "health"
	StepSoak    Step = "soak"
	StepConfirm Step = "confirm"
	StepPrune   Step = "prune"
	StepRevert  Step = "revert"
)

// Outcome is how a run ended.
type Outcome string

// The outcomes of runs.
const (
	Live        Outcome = "live"
	Staged      Outcome = "staged"
	Cancelled   Outcome = "cancelled"   // before stop
	Refused     Outcome = "refused"     // a gate said no before stop: nothing changed
	Reverted    Outcome = "reverted"    // wrong from stop on; what was before is back and healthy
	Failed      Outcome = "failed"      // a person is needed
	Interrupted Outcome = "interrupted" // a crash, with what recovery did
	Superseded  Outcome = "superseded"  // while it waited in the queue, by a newer request
	Done        Outcome = "done"        // of a run that changes no release: start, stop, restart, graceful, recover
)

// Verified is how far a live release was seen to work.
type Verified string

// The degrees of verification, each including the one before it.
const (
	VerifiedNone    Verified = "none"
	VerifiedProcess Verified = "process" // new processes run
	VerifiedAnswer  Verified = "answer"  // health passes
	VerifiedRelease Verified = "release" // the answer names this release
)

// Run is one attempt to change what is live, or a part of it, as history tells it: a line of .rel/history is one Run.
type Run struct {
	Run        int       `json:"run"`
	Key        string    `json:"key,omitempty"`
	Command    string    `json:"command"` // activate, rollback, stage, recover, start, stop, restart, graceful
	From       string    `json:"from"`    // tag live before; empty if none
	To         string    `json:"to"`      // tag wanted; empty where the command wants none
	Commit     string    `json:"commit"`
	Tree       string    `json:"tree,omitempty"`
	Signer     string    `json:"signer,omitempty"`       // of To, as far as one is known
	Release    ID        `json:"release,omitempty"`      // of To
	FromID     ID        `json:"from_release,omitempty"` // of From
	Now        ID        `json:"now,omitempty"`          // live after the run
	Outcome    Outcome   `json:"outcome"`
	Verified   Verified  `json:"verified"`
	By         string    `json:"by"`
	Ref        string    `json:"ref,omitempty"` // that was pushed, where the run was asked for by a push
	Started    time.Time `json:"started"`
	Seconds    float64   `json:"seconds"`
	DowntimeMS int64     `json:"downtime_ms"`
	SwitchMS   float64   `json:"switch_ms"`       // of the downtime, what is neither the services' stop nor their start
	Probe      *Probe    `json:"probe,omitempty"` // what visitors saw; absent where DowntimeMS is only how long services were known to be down
	Error      string    `json:"error"`
	Exit       int       `json:"exit"`              // what the command that asked for it exits with
	Checked    string    `json:"checked,omitempty"` // digest of the gates that Release has passed
	Note       string    `json:"note,omitempty"`    // what recovery did, and the like
	Services   []Took    `json:"services,omitempty"`
	Stragglers []string  `json:"stragglers,omitempty"` // processes that went on with another release: a sentence for each service
	Log        []string  `json:"log,omitempty"`        // the first lines of what the services' error logs had new, cut short
}

// Took says how a service took over what went live.
type Took struct {
	Service string `json:"service"`
	PID     int    `json:"pid"`   // its main process afterwards
	Start   uint64 `json:"start"` // of that, in boot ticks
	Since   uint64 `json:"since"` // the boot tick from which on its processes are new ones
	Boot    string `json:"boot"`  // which boot of the machine the ticks are of
}

// Event is a line of a run's log, .rel/runs/<n>.jsonl.
type Event struct {
	Time  time.Time `json:"t"`
	Kind  EventKind `json:"kind"`
	Step  Step      `json:"step,omitempty"`
	Text  string    `json:"text,omitempty"` // of a begun step what it does, of a done one its figure, of output one line
	MS    int64     `json:"ms,omitempty"`   // how long a done step took
	Done  int64     `json:"done,omitempty"` // progress, in bytes
	Total int64     `json:"total,omitempty"`
	Run   *Run      `json:"run,omitempty"` // of begin: number, command, from, to; of outcome: the whole
	Exit  int       `json:"exit,omitempty"`
	Hints []string  `json:"hints,omitempty"`
	Trace *Trace    `json:"trace,omitempty"` // of probe
}

// EventKind says what an event tells.
type EventKind string

// The kinds of event. A log begins with Begin and tells the run up to End; a log without End is of a run that goes on or
// crashed. After End come warnings at most, of what is kept about the run.
const (
	EventBegin    EventKind = "begin"
	EventStep     EventKind = "step"     // a step begins
	EventProgress EventKind = "progress" // of a step, for a progress bar
	EventOutput   EventKind = "output"   // a line that a command of the step printed
	EventDone     EventKind = "done"     // the step is done
	EventNote     EventKind = "note"     // something worth a line
	EventWarn     EventKind = "warn"     // something wrong that does not stop the run
	EventFail     EventKind = "fail"     // the step went wrong: Text says how
	EventProbe    EventKind = "probe"    // what the prober saw
	EventEnd      EventKind = "end"      // the outcome
)
