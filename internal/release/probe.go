package release

// Probe is what a run's prober saw of the service, as a visitor does who comes again and again. Where no request was answered
// before anything was touched, the service was down already, and there is no downtime to tell.
type Probe struct {
	Asked      string  `json:"asked"`       // "GET http://127.0.0.1/", "connect to 127.0.0.1:80"
	IntervalMS float64 `json:"interval_ms"` // between two requests
	Requests   int     `json:"requests"`
	Failures   int     `json:"failures"`
	GapMS      float64 `json:"gap_ms"` // the longest time without an answer
	Before     Latency `json:"before"` // sent before anything was touched
	After      Latency `json:"after"`  // sent after the services were started
}

// Latency is how long answers took to come.
type Latency struct {
	Answers  int     `json:"answers"`
	MedianMS float64 `json:"median_ms"`
	WorstMS  float64 `json:"worst_ms"`
}

// Trace is all that a prober saw, on one clock: microseconds since it began.
type Trace struct {
	Asked      string   `json:"asked"`
	IntervalMS float64  `json:"interval_ms"`
	Touched    int64    `json:"touched"` // when the run began to touch what is live
	Ended      int64    `json:"ended"`   // when the prober did
	Steps      []Span   `json:"steps"`   // of the run meanwhile, in the order in which they began
	Samples    []Sample `json:"samples"` // in the order in which they were sent
}

// Span is when a step began, and how long it took.
type Span struct {
	Step Step  `json:"step"`
	At   int64 `json:"at"`
	Took int64 `json:"took"`
}

// End is when it was over.
func (s Span) End() int64 { return s.At + s.Took }

// Sample is one request: when it was sent, how long it took to be answered, or to be known to get no answer, and why it got none.
type Sample struct {
	At    int64  `json:"at"`
	Took  int64  `json:"took"`
	Error string `json:"error,omitempty"` // empty if it was answered
}

// End is when it was answered, or known to get no answer.
func (s Sample) End() int64 { return s.At + s.Took }

// Answered says whether an answer came that health takes for one.
func (s Sample) Answered() bool { return s.Error == "" }
