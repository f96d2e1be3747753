// Package plaintext finds the callers of a workload that send no certificate, in the access log of its sidecar.
package plaintext

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// ErrNoFormat is the error of a log without the fields that are read.
var ErrNoFormat = errors.New("no line has the fields downstream_peer, downstream_remote_address and upstream_cluster: " +
	"take accessLogFormat from manifests/istio/install.yaml, with accessLogEncoding: JSON, and wait for requests")

const (
	maxLine    = 1 << 20 // bytes; a longer line is no line of Envoy
	maxCallers = 10000   // addresses; further ones are counted together
)

// Caller is a peer without a certificate.
type Caller struct {
	Address  string `json:"address"`            // IP address; "other" for those after the first 10,000
	Workload string `json:"workload,omitempty"` // ns/NAMESPACE/sa/SERVICEACCOUNT, if the address is a pod's
	Requests int    `json:"requests"`           // or connections of raw TCP
	Example  string `json:"example"`            // METHOD HOST PATH of the first request; empty for raw TCP
}

// Report is what the logs have.
type Report struct {
	Callers []Caller `json:"callers"` // most requests first
	Inbound int      `json:"inbound"` // lines about requests to the workload
	Other   int      `json:"other"`   // lines that are no line of the access log
}

// HasNone reports whether all callers show a certificate.
func (r Report) HasNone() bool { return len(r.Callers) == 0 }

// Print prints the report for people.
func (r Report) Print(to io.Writer) error {
	var text strings.Builder
	for _, c := range r.Callers {
		fmt.Fprintf(&text, "%s: requests: %d", strings.TrimSpace(c.Address+" "+c.Workload), c.Requests)
		if c.Example != "" {
			fmt.Fprintf(&text, ", such as %s", c.Example)
		}
		text.WriteByte('\n')
	}
	fmt.Fprintf(&text, "plaintext callers: %d, requests to the workload: %d, other lines: %d\n", len(r.Callers), r.Inbound, r.Other)
	_, err := io.WriteString(to, text.String())
	return err
}

// Finder reads logs. The zero value is ready.
type Finder struct {
	callers        map[string]*Caller
	inbound, other int
}

// line has the fields of manifests/istio/install.yaml that are read. A field that Envoy does not know for a request is null.
type line struct {
	Peer      *string `json:"downstream_peer"`
	Remote    *string `json:"downstream_remote_address"`
	Upstream  *string `json:"upstream_cluster"`
	Method    *string `json:"method"`
	Authority *string `json:"authority"`
	Path      *string `json:"path"`
}

// Read adds a log. Lines of other programs, as `kubectl logs` mixes them in, are counted.
func (f *Finder) Read(from io.Reader) error {
	reader := bufio.NewReaderSize(from, maxLine)
	for {
		text, err := reader.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = reader.ReadSlice('\n')
		}
		switch {
		case long:
			f.other++
		case len(bytes.TrimSpace(text)) > 0:
			f.readLine(text)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (f *Finder) readLine(text []byte) {
	var fields map[string]json.RawMessage
	var l line
	if json.Unmarshal(text, &fields) != nil || json.Unmarshal(text, &l) != nil || fields["downstream_peer"] == nil || l.Remote == nil || fields["upstream_cluster"] == nil {
		f.other++
		return
	}
	if !strings.HasPrefix(value(l.Upstream), "inbound") {
		return // a request that the workload sends
	}
	f.inbound++
	if value(l.Peer) != "" {
		return
	}
	address := *l.Remote
	if parsed, err := netip.ParseAddrPort(address); err == nil {
		address = parsed.Addr().Unmap().String()
	}
	if f.callers == nil {
		f.callers = map[string]*Caller{}
	}
	if f.callers[address] == nil && len(f.callers) >= maxCallers {
		address = "other"
	}
	if f.callers[address] == nil {
		f.callers[address] = &Caller{Address: address, Example: strings.Join(strings.Fields(value(l.Method)+" "+value(l.Authority)+" "+value(l.Path)), " ")}
	}
	f.callers[address].Requests++
}

// value gives the text of a field, and "" for one without a value.
func value(field *string) string {
	if field == nil || *field == "-" {
		return ""
	}
	return *field
}

// Report gives what was found. names are the workloads of the pods' addresses, and may be nil.
func (f *Finder) Report(names map[string]string) (Report, error) {
	if f.inbound == 0 {
		return Report{}, ErrNoFormat
	}
	r := Report{Callers: []Caller{}, Inbound: f.inbound, Other: f.other}
	for _, c := range f.callers {
		c.Workload = names[c.Address]
		r.Callers = append(r.Callers, *c)
	}
	slices.SortFunc(r.Callers, func(a, b Caller) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), strings.Compare(a.Address, b.Address))
	})
	return r, nil
}

// DecodePods reads the output of `kubectl get pods -A -o json`, and gives the workload of each address. Pods in the network of
// their node are left out, because they share its address.
func DecodePods(from io.Reader) (map[string]string, error) {
	var list struct {
		Kind  string
		Items []struct {
			Metadata struct{ Namespace string }
			Spec     struct {
				ServiceAccountName string
				HostNetwork        bool
			}
			Status struct{ PodIPs []struct{ IP string } }
		}
	}
	if err := json.NewDecoder(from).Decode(&list); err != nil {
		return nil, fmt.Errorf("want the output of kubectl get pods -A -o json: %w", err)
	}
	if list.Kind != "List" && list.Kind != "PodList" {
		return nil, fmt.Errorf("want the output of kubectl get pods -A -o json, not the kind %q", list.Kind)
	}
	names := map[string]string{}
	for _, pod := range list.Items {
		for _, address := range pod.Status.PodIPs {
			if !pod.Spec.HostNetwork {
				names[address.IP] = "ns/" + pod.Metadata.Namespace + "/sa/" + cmp.Or(pod.Spec.ServiceAccountName, "default")
			}
		}
	}
	return names, nil
}
