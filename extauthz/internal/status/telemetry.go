package status

import "fmt"

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
