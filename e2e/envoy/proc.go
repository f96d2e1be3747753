package envoy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/meshpass/meshpass/internal/process"
)

// Proc is an Envoy that serves.
type Proc struct {
	*process.Proc
	workload Workload
	log      string
}

// ErrRejected is the error for an Envoy that rejected a part of its configuration. It may
// serve without that part.
var ErrRejected = errors.New("envoy rejected its configuration")

// Check returns an error if the Envoy has ended, or has rejected any configuration since it
// started.
func (p *Proc) Check(ctx context.Context) error {
	if err := p.Err(); err != nil {
		return err
	}
	if err := p.findRejection(); err != nil {
		return err
	}
	stats, err := p.Stats(ctx, `(\.update_rejected|\.listener_create_failure)$`)
	if err != nil {
		return err
	}
	if len(stats) == 0 {
		return fmt.Errorf("%s: no counters of rejected updates: is this an Envoy?", p.workload.Name)
	}
	for name, value := range stats {
		if value > 0 {
			return fmt.Errorf("%s: %w: %s is %v", p.workload.Name, ErrRejected, name, value)
		}
	}
	return nil
}

// findRejection is nil if the log has no entry about rejected configuration.
func (p *Proc) findRejection() error {
	if entries := p.readRejections(); len(entries) > 0 {
		return fmt.Errorf("%s: %w: %s", p.workload.Name, ErrRejected, strings.Join(entries, "\n"))
	}
	return nil
}

// checkReady is nil once everything serves. /ready alone is not enough: it does not wait
// for configuration that came later and still lacks a certificate, endpoints or routes.
// Envoy calls that warming.
func (p *Proc) checkReady(ctx context.Context) error {
	if _, err := p.getAdmin(ctx, "/ready"); err != nil {
		return errors.Join(err, p.findRejection())
	}
	stats, err := p.Stats(ctx, `^(listener_manager\.total_listeners|cluster_manager\.warming_clusters)`)
	if err != nil {
		return err
	}
	active := stats["listener_manager.total_listeners_active"]
	listeners, clusters := stats["listener_manager.total_listeners_warming"], stats["cluster_manager.warming_clusters"]
	if active == 0 || listeners > 0 || clusters > 0 {
		return fmt.Errorf("%v listeners serve, %v listeners and %v clusters are warming", active, listeners, clusters)
	}
	return p.Check(ctx)
}

var entryStart = regexp.MustCompile(`(?m)^\[\d{4}-\d\d-\d\d `)

// readRejections gives the log's entries about rejected configuration: the statistics
// count rejections, the log has their reasons.
func (p *Proc) readRejections() []string {
	log, err := os.ReadFile(p.log)
	if err != nil {
		return []string{err.Error()}
	}
	return findRejections(string(log))
}

// findRejections keeps the first and the last line of an entry. Between them Envoy prints
// the whole rejected resource. Its error is the last line.
func findRejections(log string) []string {
	var out []string
	starts := append(entryStart.FindAllStringIndex(log, -1), []int{len(log)})
	for i := range len(starts) - 1 {
		entry := strings.TrimSpace(log[starts[i][0]:starts[i+1][0]])
		first, rest, long := strings.Cut(entry, "\n")
		if !strings.Contains(first, "rejected") {
			continue
		}
		if long {
			first += " … " + rest[strings.LastIndexByte(rest, '\n')+1:]
		}
		out = append(out, first)
	}
	return out
}

// adminClient ignores the proxy of the environment.
var adminClient = &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}, Timeout: 2 * time.Second}

// Stats returns the counters and gauges whose names match a regular expression. It must
// not match a text, such as cluster_manager.cds.version_text.
func (p *Proc) Stats(ctx context.Context, filter string) (map[string]float64, error) {
	body, err := p.getAdmin(ctx, "/stats?"+url.Values{"format": {"json"}, "filter": {filter}}.Encode())
	if err != nil {
		return nil, err
	}
	var page struct {
		Stats []struct {
			Name  string
			Value float64
		}
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, fmt.Errorf("admin statistics: %w", err)
	}
	out := map[string]float64{}
	for _, s := range page.Stats {
		out[s.Name] = s.Value
	}
	return out, nil
}

func (p *Proc) getAdmin(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.workload.AdminURL()+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := adminClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("admin %s: %s", path, response.Status)
	}
	return io.ReadAll(response.Body)
}

// Name is that of the workload.
func (p *Proc) Name() string { return p.workload.Name }
