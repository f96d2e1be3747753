package status

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
)

// Replica is one of several authorizers, as it answered.
type Replica struct {
	URL      string   `json:"url"`
	Report   *Report  `json:"report,omitempty"`   // nil: no answer
	Findings []string `json:"findings,omitempty"` // problems, in words
}

const maxReport = 4 << 20 // bytes

// AskReplicas requests the reports of all URLs, which are the addresses of probes and
// metrics. Replicas have the same files, so different generations are a finding of each.
func AskReplicas(ctx context.Context, client *http.Client, urls []string) []Replica {
	replicas := make([]Replica, len(urls))
	var asking sync.WaitGroup
	for i, url := range urls {
		asking.Go(func() { replicas[i] = askReplica(ctx, client, url) })
	}
	asking.Wait()
	if all := listGenerations(replicas); len(all) > 1 {
		for i := range replicas {
			replicas[i].Findings = append(replicas[i].Findings, "replicas run different generations: "+strings.Join(all, ", "))
		}
	}
	return replicas
}

func askReplica(ctx context.Context, client *http.Client, url string) Replica {
	report, err := fetchReport(ctx, client, url)
	if err != nil {
		return Replica{URL: url, Findings: []string{"no answer: " + err.Error()}}
	}
	return Replica{URL: url, Report: report, Findings: report.Findings()}
}

func fetchReport(ctx context.Context, client *http.Client, url string) (*Report, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(url, "/")+Path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: is that the address of ops?", answer.Status)
	}
	var report Report
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxReport)).Decode(&report); err != nil {
		return nil, fmt.Errorf("%w: is that the address of ops?", err)
	}
	return &report, nil
}

func listGenerations(replicas []Replica) []string {
	var all []string
	for _, r := range replicas {
		if r.Report != nil && !slices.Contains(all, r.Report.Policies.Generation) {
			all = append(all, r.Report.Policies.Generation)
		}
	}
	slices.Sort(all)
	return all
}

// Print writes the state of a replica as text. Ages count up to now.
func (r Replica) Print(w io.Writer, now time.Time) {
	fmt.Fprintln(w, r.URL)
	if r.Report != nil {
		r.Report.printReport(w, now)
	}
	for _, finding := range r.Findings {
		fmt.Fprintln(w, "  ! "+finding)
	}
}

func (r *Report) printReport(w io.Writer, now time.Time) {
	p := r.Policies
	fmt.Fprintf(w, "  %s\n  policies     generation %s, documents %d, unguarded: %s\n", r.State, p.Generation, p.Documents, p.Unguarded)
	for _, f := range p.Folders {
		if f.Version != f.Path { // through no link: a folder that is changed in its place
			fmt.Fprintf(w, "  folder       %s: %s\n", f.Name, f.Version)
		}
	}
	for _, o := range p.Overrides {
		fmt.Fprintf(w, "  override     %s until %s, by %s: %s\n", o.Target, printer.FormatTime(o.Until), o.By, o.Reason)
	}
	for _, i := range r.Issuers {
		from := ""
		if !i.Fetched.IsZero() {
			from = fmt.Sprintf(", fetched %s ago", now.Sub(i.Fetched).Round(time.Second))
		}
		fmt.Fprintf(w, "  issuer       %s: %s%s\n", i.Name, KeyCount(i.Keys, i.Skipped), from)
	}
	for _, l := range r.Revocations {
		fmt.Fprintf(w, "  revocations  %s: serial %d, %d entries, current %s ago\n", l.Source, l.Serial, l.Entries, time.Duration(l.Age*float64(time.Second)).Round(time.Second))
		for _, warning := range l.listWarnings() {
			fmt.Fprintf(w, "  warning      %s\n", warning)
		}
	}
	if r.Audit != nil {
		fmt.Fprintf(w, "  audit        %s\n", r.Audit)
		if r.Audit.Chain != nil {
			fmt.Fprintf(w, "  audit chain  %s\n", r.Audit.Chain)
		}
	}
	for _, l := range r.Limits {
		fmt.Fprintf(w, "  limit        %s\n", l)
	}
	for _, d := range r.Deadlines {
		fmt.Fprintf(w, "  deadline     %s\n", d)
	}
	if r.Tracing != nil {
		fmt.Fprintf(w, "  tracing      %s\n", r.Tracing)
	}
	if r.LogLevel != "" {
		fmt.Fprintf(w, "  log level    %s\n", r.LogLevel)
	}
	for _, s := range r.Sources {
		looked := ""
		if !s.Looked.IsZero() { // an authorizer of an earlier version does not report it
			looked = fmt.Sprintf(", looked at %s ago", max(0, now.Sub(s.Looked).Round(time.Second)))
		}
		fmt.Fprintf(w, "  %-12s active for %s%s\n", s.Name, now.Sub(s.Since).Round(time.Second), looked)
	}
}
