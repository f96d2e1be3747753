package localmesh

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/meshpass/meshpass/e2e/scenarios"
)

// ReadRecords returns the audit records about a request, in the order of their time.
func (m *Mesh) ReadRecords(_ context.Context, requestID string) ([]scenarios.Record, error) {
	var records []scenarios.Record
	for _, name := range m.listAuditLogs() {
		lines, err := m.readLinesAbout(name, requestID)
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			if line.FieldText("kind") != "" { // Tyk writes lines of its own to the same place
				records = append(records, line)
			}
		}
	}
	slices.SortStableFunc(records, compareTimes)
	return records, nil
}

func (m *Mesh) listAuditLogs() []string {
	var names []string
	for _, g := range m.gateways {
		names = append(names, filepath.Join(g.Home, gatewayAudit))
	}
	for _, a := range m.topology.Authorizers {
		names = append(names, auditLogName(a))
	}
	return names
}

// ReadHits names the services that logged a request, in the order of their time.
func (m *Mesh) ReadHits(_ context.Context, requestID string) ([]string, error) {
	var served []scenarios.Record
	for _, name := range services {
		lines, err := m.readLinesAbout(name+".log", requestID)
		if err != nil {
			return nil, err
		}
		served = append(served, lines...)
	}
	slices.SortStableFunc(served, compareTimes)
	var names []string
	for _, line := range served {
		names = append(names, line.FieldText("service"))
	}
	return names, nil
}

func compareTimes(a, b scenarios.Record) int { return parseTime(a).Compare(parseTime(b)) }

// parseTime gives the time of a line. A line without a readable time sorts first, where it is noticed.
func parseTime(r scenarios.Record) time.Time {
	t, err := time.Parse(time.RFC3339Nano, r.FieldText("time"))
	if err != nil {
		return time.Time{}
	}
	return t
}

// readLinesAbout reads the JSON lines of a log with a request's id.
func (m *Mesh) readLinesAbout(name, requestID string) ([]scenarios.Record, error) {
	data, err := os.ReadFile(m.filePath(name))
	if err != nil {
		return nil, err
	}
	var found []scenarios.Record
	for line := range bytes.Lines(data) {
		if !bytes.Contains(line, []byte(requestID)) {
			continue
		}
		var record scenarios.Record
		if json.Unmarshal(line, &record) == nil && record.FieldText("request_id") == requestID {
			found = append(found, record)
		}
	}
	return found, nil
}
