package envoy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// admin never goes through a proxy of the environment.
var adminClient = &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}, Timeout: 2 * time.Second}

// Stats returns the counters and gauges whose names match a regular expression;
// it must match no text, such as cluster_manager.cds.version_text.
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
