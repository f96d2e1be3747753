package drills

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// request is what one program sends another through both their Envoys.
type request struct {
	from, to, path string
	base           string // URL of the callee; empty: its address in the mesh
	token          string
	header         map[string]string
}

// newRequest returns one of the four requests that distinguish the failures.
func (r *rig) newRequest(to string, k requestKind) request {
	one := request{from: "tyk-gateway", to: to, token: r.tokens.valid}
	if r.place.outside {
		one.base = "https://" + to + "." + publicDomain
	}
	tenant := "acme"
	switch k {
	case otherTenant:
		tenant = "umbrella"
	case forgedToken:
		one.token = r.tokens.forged
	case noToken:
		one.token = ""
	default: // the own tenant's path with a valid token
	}
	one.path = "/tenants/" + tenant + map[string]string{closed: "/orders/1", open: "/report"}[to]
	return one
}

// answer is the answer that the caller got.
type answer struct {
	id     string // of the request
	status int
	reason string // in the body of our denial
	body   string
}

// String returns the parts that are compared: the status, and our reason or Envoy's own text.
func (a answer) String() string {
	text, _, _ := strings.Cut(cmp.Or(a.reason, a.body), ".") // Envoy's details after it vary
	return strings.TrimSpace(fmt.Sprint(a.status, " ", text))
}

// clientOf returns a client that sends as the program of a workload does, through its Envoy, or from outside of the mesh.
func (r *rig) clientOf(t *testing.T, from string) *http.Client {
	if r.place.outside {
		return r.clientOutside(t)
	}
	proxy := mustGet(url.Parse(r.workloads[from].ProxyURL()))(t)
	transport := &http.Transport{Proxy: http.ProxyURL(proxy)}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

func (r *rig) mustSend(t *testing.T, one request) answer {
	t.Helper()
	got, err := sendRequest(r.clientOf(t, one.from), one)
	must(t, err)
	return got
}

func sendRequest(client *http.Client, one request) (answer, error) {
	out, err := http.NewRequest(http.MethodGet, cmp.Or(one.base, "http://"+one.to+".shop.svc.cluster.local:8080")+one.path, nil)
	if err != nil {
		return answer{}, err
	}
	got := answer{id: rand.Text()} // in a UUID Envoy changes a digit when it samples a trace
	out.Header.Set("X-Request-Id", got.id)
	if one.token != "" {
		out.Header.Set("Txn-Token", one.token)
	}
	for name, value := range one.header {
		out.Header.Set(name, value)
	}
	response, err := client.Do(out)
	if err != nil {
		return got, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	got.status, got.body = response.StatusCode, string(body)
	var problem struct{ Reason string }
	if json.Unmarshal(body, &problem) == nil {
		got.reason = problem.Reason
	}
	return got, err
}

// logged holds fields of an Envoy's log line about a request.
type logged struct {
	RequestID string `json:"request_id"`
	Flags     string `json:"response_flags"`
	Details   string `json:"response_code_details"`
}

// logOf waits for the line about an answer in the access log of an Envoy.
func (r *rig) logOf(t *testing.T, envoy string, of answer) (line string) {
	t.Helper()
	eventually(t, envoy+"'s Envoy logs a request", func() bool {
		for text := range bytes.Lines(mustGet(os.ReadFile(r.filePath(envoy + ".access.log")))(t)) {
			var one logged
			if json.Unmarshal(text, &one) == nil && one.RequestID == of.id {
				line = one.Flags + " " + one.Details
				return true
			}
		}
		return false
	})
	return line
}

// extAuthzCounter returns one of the statistics ext_authz.ok, denied, error and
// failure_mode_allowed of the first Envoy that asks about requests to a workload.
func (r *rig) extAuthzCounter(t *testing.T, to, name string) float64 {
	t.Helper()
	stats := mustGet(r.envoys[r.askingEnvoys(to)[0]].Stats(t.Context(), `^cluster\..*\.ext_authz\.`+name+`$`))(t)
	var sum float64
	for _, value := range stats {
		sum += value
	}
	return sum
}
