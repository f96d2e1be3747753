package status

import (
	"fmt"
	"time"
)

// Tracing counts the spans since the start.
type Tracing struct {
	Endpoint string `json:"endpoint"`
	Exported uint64 `json:"exported"`
	Failed   uint64 `json:"failed"`  // the collector is away or rejects them
	Dropped  uint64 `json:"dropped"` // the queue was full
}

// String is one line.
func (t Tracing) String() string {
	return fmt.Sprintf("%s, exported %d, failed %d, dropped %d", t.Endpoint, t.Exported, t.Failed, t.Dropped)
}

// Deadline is the time that a Check of a listener may take.
type Deadline struct {
	Listener string  `json:"listener"`
	Seconds  float64 `json:"seconds"`                // limits.deadline
	Envoy    float64 `json:"envoySeconds,omitempty"` // the shortest that Envoy waited; 0: no Check had a timeout
}

// IsShortened reports that Envoy waits for less than the deadline.
func (d Deadline) IsShortened() bool { return d.Envoy > 0 && d.Envoy < d.Seconds }

// String is one line.
func (d Deadline) String() string {
	duration := func(seconds float64) time.Duration {
		return time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
	}
	line := fmt.Sprintf("%s: %s", d.Listener, duration(d.Seconds))
	switch {
	case d.Envoy == 0:
		return line + ", no timeout of Envoy was seen"
	case d.IsShortened():
		return line + fmt.Sprintf(", but Envoy waits for %s only: raise the provider's timeout or lower limits.deadline", duration(d.Envoy))
	}
	return line + fmt.Sprintf(", Envoy waits for %s", duration(d.Envoy))
}

// Limit is how much of a limit is in use.
type Limit struct {
	Name string `json:"name"` // such as "checks in flight"
	Now  int64  `json:"now"`
	Max  int64  `json:"max"`
}

// IsNear reports that four fifths of the limit are in use.
func (l Limit) IsNear() bool { return l.Now*5 >= l.Max*4 }

// String is one line.
func (l Limit) String() string {
	line := fmt.Sprintf("%s: %d of %d", l.Name, l.Now, l.Max)
	if l.IsNear() {
		line += ", near its limit"
	}
	return line
}
