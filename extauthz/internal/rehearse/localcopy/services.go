package localcopy

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/rehearse/plan"
)

// Service is the substitute for what answers at a host of the definitions.
type Service struct {
	Host    string `json:"host"`
	Account string `json:"account,omitempty"` // empty: outside of the mesh
	Assumed bool   `json:"assumed,omitempty"` // the account follows from the name of the host
}

type service struct {
	Service
	name                string // of its Envoy parts
	address, appAddress string
	status              int
	delay               time.Duration
}

// planServices gives a substitute for each host. Two hosts with one account share it, as Services of one workload do.
func (c *Copy) planServices(p *plan.Plan, hosts map[string]bool) error {
	used := map[string]bool{}
	for i, host := range slices.Sorted(keysOf(hosts)) {
		if i >= plan.MaxHosts {
			return fmt.Errorf("the definitions name more than %d hosts", plan.MaxHosts)
		}
		own, known := p.Workloads[host]
		key := host
		if !known {
			key = hostOnly(host)
			own, known = p.Workloads[key]
		}
		if known {
			used[key] = true
		}
		s := &service{
			Service: Service{Host: host, Account: own.Account}, name: fmt.Sprint(i), status: cmp.Or(own.Status, http.StatusOK), delay: own.Delay,
			address: c.net.Addr(firstService+i) + ":8080", appAddress: c.net.Addr(firstService+i) + ":9080",
		}
		if s.Account == "" {
			s.Account, s.Assumed = accountOf(hostOnly(host)), true
		}
		if s.Account == plan.NoAccount {
			s.Account = ""
		}
		if s.Account == "" {
			c.Changes.addSkipped(p.Name(), "workloads: "+host, "it is outside of the mesh, so the authorizer is not asked: name its account if it is a workload of the mesh")
		}
		c.services = append(c.services, s)
		c.Services = append(c.Services, s.Service)
	}
	for _, host := range slices.Sorted(keysOf(p.Workloads)) {
		if !used[host] {
			c.Changes.addSkipped(p.Name(), "workloads: "+host, "no definition that runs has a target at this host")
		}
	}
	return nil
}

// accountOf is the usual account of a service of Kubernetes: that of its own name. Other hosts have no account.
func accountOf(host string) string {
	parts := strings.Split(host, ".")
	if len(parts) >= 3 && parts[2] == "svc" {
		return "ns/" + parts[1] + "/sa/" + parts[0]
	}
	return ""
}

// hostOnly is the host without its port.
func hostOnly(host string) string {
	if _, port, err := net.SplitHostPort(host); err == nil {
		return strings.TrimSuffix(host, ":"+port)
	}
	return host
}

// listDomains lists the forms of the host in requests.
func (s *service) listDomains() []any {
	if hostOnly(s.Host) != s.Host {
		return []any{s.Host}
	}
	return []any{s.Host, s.Host + ":80"}
}

// serveApps serves the substitutes for the services: each answers at once, or after its delay.
func (c *Copy) serveApps(ctx context.Context) error {
	for _, s := range c.services {
		err := c.serveHTTP(ctx, s.appAddress, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // a client that has gone
			if s.delay > 0 {
				timer := time.NewTimer(s.delay)
				defer timer.Stop()
				select {
				case <-timer.C:
				case <-r.Context().Done():
				}
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(s.status)
			_, _ = fmt.Fprintf(w, "{\"standIn\":%q}\n", s.Host)
		}))
		if err != nil {
			return err
		}
	}
	return nil
}
