package localcopy

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/meshpass/meshpass/shared/audit"
)

// Trace is what the layers recorded of a request.
type Trace struct {
	Edge  *audit.Record // of the plugin
	Check *audit.Record // of the authorizer
	Left  bool          // the gateway sent the request on
	Flags string        // Envoy's response flags, if the service did not answer

	Egress     time.Duration // from Envoy's first byte to its last, at the gateway's own Envoy
	Authorizer time.Duration // Envoy waited for the decision
	Service    time.Duration // from the first byte to the service to its last one
	Reached    bool          // the service answered
}

// ReadTraces reads the logs of all layers, by the id of the request. Call it after [Copy.StopAll].
func (c *Copy) ReadTraces() (map[string]*Trace, error) {
	all := map[string]*Trace{}
	get := func(id string) *Trace {
		if all[id] == nil {
			all[id] = &Trace{}
		}
		return all[id]
	}
	record := func(keep func(*Trace, *audit.Record)) func([]byte) {
		return func(line []byte) {
			var r audit.Record
			if json.Unmarshal(line, &r) == nil && r.Kind != "" && r.RequestID != "" {
				keep(get(r.RequestID), &r)
			}
		}
	}
	access := func(keep func(*Trace, accessLine)) func([]byte) {
		return func(line []byte) {
			var l accessLine
			if json.Unmarshal(line, &l) == nil && l.ID != "" {
				keep(get(l.ID), l)
			}
		}
	}
	return all, errors.Join(
		c.readLines(gatewayOut, record(func(t *Trace, r *audit.Record) { t.Edge = r })),
		c.readLines(authorizerOut, record(func(t *Trace, r *audit.Record) { t.Check = r })),
		c.readLines(accessLogName("egress"), access(func(t *Trace, l accessLine) {
			t.Left, t.Egress = true, l.US.duration()
			t.setFlags(l.Flags)
		})),
		c.readLines(accessLogName("workload-"), access(func(t *Trace, l accessLine) {
			t.Authorizer, t.Service = l.Authz.duration(), l.Upstream.duration()
			t.Reached = t.Service > 0
			t.setFlags(l.Flags)
		})),
	)
}

func (t *Trace) setFlags(flags string) {
	if flags != "" && flags != "-" {
		t.Flags = flags
	}
}

// accessLine is a line of [egressLog] or [ingressLog].
type accessLine struct {
	ID       string       `json:"id"`
	Flags    string       `json:"flags"`
	US       microseconds `json:"us"`
	Authz    microseconds `json:"authz_us"`
	Upstream microseconds `json:"upstream_us"`
}

// microseconds is a number, or a text with one. Everything else is absent.
type microseconds int64

// UnmarshalJSON reads all forms in which Envoy writes a number.
func (m *microseconds) UnmarshalJSON(data []byte) error {
	text := string(data)
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		*m = microseconds(n)
	}
	return nil
}

func (m microseconds) duration() time.Duration { return time.Duration(m) * time.Microsecond }

// readLines calls read for each line of a log. A log that does not exist has no lines.
func (c *Copy) readLines(name string, read func([]byte)) error {
	file, err := os.Open(filepath.Join(c.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		read(lines.Bytes())
	}
	return lines.Err()
}
