package kind

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/e2e/scenarios"
)

const logsBound = time.Minute

// source is a set of containers whose logs are read together.
type source struct{ namespace, selector, container string }

var (
	sharedAuthorizers = source{"meshpass", "app=meshpass", "meshpass"}
	serviceLogs       = source{"shop", "app in (inventory,orders,reports)", "app"} // guarded or not
	undeclaredLogs    = source{"shop", "app=orders", "undeclared"}
)

// logArgs are the arguments of kubectl that read the logs from their beginning.
func logArgs(s source) []string {
	return []string{"logs", "-n", s.namespace, "-l", s.selector, "-c", s.container, "--tail=-1"}
}

// logLine is one JSON line, and the pod that wrote it.
type logLine struct {
	pod string
	scenarios.Record
}

// ReadRecords returns the audit records about a request, in the order of their time.
func (e *Environment) ReadRecords(ctx context.Context, requestID string) ([]scenarios.Record, error) {
	sources := []source{e.current.authorizers}
	for _, g := range e.current.gateways {
		sources = append(sources, g.logs())
	}
	lines, err := e.linesAbout(ctx, requestID, sources...)
	var records []scenarios.Record
	for _, line := range lines {
		if line.FieldText("kind") != "" { // Tyk writes its own lines to the same place
			records = append(records, line.Record)
		}
	}
	return records, err
}

// ReadHits names the services that logged a request, in the order of their time.
func (e *Environment) ReadHits(ctx context.Context, requestID string) ([]string, error) {
	lines, err := e.linesAbout(ctx, requestID, serviceLogs, undeclaredLogs)
	var names []string
	for _, line := range lines {
		names = append(names, line.FieldText("service"))
	}
	return names, err
}

// linesAbout reads the lines that carry a request's id, of this run, in the order of their time.
// They are read to the end even when ctx ends: a case that waits for missing records
// reports the ones that came.
func (e *Environment) linesAbout(ctx context.Context, requestID string, sources ...source) ([]logLine, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logsBound)
	defer cancel()
	var found []logLine
	for _, s := range sources {
		out, err := e.readLogs(ctx, s)
		if err != nil {
			return nil, err
		}
		for text := range bytes.Lines(out) {
			if !bytes.Contains(text, []byte(requestID)) {
				continue
			}
			if line, ok := parseLogLine(text); ok && line.FieldText("request_id") == requestID {
				found = append(found, line)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b logLine) int { return a.writtenAt().Compare(b.writtenAt()) })
	return found, nil
}

// readLogs reads the logs of every pod that a source selects. kubectl lists the pods first and then reads each:
// a pod that a rollout removes in between is an error of the whole command, so the list is made again.
func (e *Environment) readLogs(ctx context.Context, s source) ([]byte, error) {
	args := append(logArgs(s), "--prefix", "--since-time="+e.since.UTC().Format(time.RFC3339))
	for {
		out, err := e.runTool(ctx, nil, "kubectl", args...)
		if err == nil || ctx.Err() != nil || !isRemovedPod(err) {
			return out, err
		}
	}
}

// isRemovedPod reports whether a pod was removed after kubectl had listed it.
func isRemovedPod(err error) bool {
	return strings.Contains(err.Error(), `Error from server (NotFound): pods "`)
}

// parseLogLine reads "[pod/NAME/CONTAINER] {…}".
func parseLogLine(text []byte) (logLine, bool) {
	prefix, rest, found := bytes.Cut(text, []byte("] "))
	parts := bytes.Split(prefix, []byte("/"))
	if !found || len(parts) != 3 {
		return logLine{}, false
	}
	line := logLine{pod: string(parts[1])}
	return line, json.Unmarshal(rest, &line.Record) == nil
}

// writtenAt returns the time of a line. A line without a valid time sorts first, where it is noticed.
func (l logLine) writtenAt() time.Time {
	t, err := time.Parse(time.RFC3339Nano, l.FieldText("time"))
	if err != nil {
		return time.Time{}
	}
	return t
}
