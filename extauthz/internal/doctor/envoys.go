package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// envoyAnswers are those of the admin interface of a guarded workload's Envoy.
type envoyAnswers struct {
	Envoy
	node      string // type~address~pod.namespace~domain, of Istio
	listeners []listenerState
	clusters  []clusterStatus
	fault     error // why the answers are not known
}

// listenerState is a DynamicListener of envoy.admin.v3.ListenersConfigDump.
type listenerState struct {
	Name        string
	ActiveState struct {
		Listener listener
	} `json:"active_state"`
	ErrorState *struct {
		Details string
	} `json:"error_state"`
}

type listener struct {
	TrafficDirection   string        `json:"traffic_direction"`
	FilterChains       []filterChain `json:"filter_chains"`
	DefaultFilterChain *filterChain  `json:"default_filter_chain"`
}

type filterChain struct {
	Filters []networkFilter
}

type networkFilter struct {
	TypedConfig struct {
		HTTPFilters []httpFilter `json:"http_filters"`
	} `json:"typed_config"`
}

// httpFilter is an HTTP filter, with the settings of those that are checked.
type httpFilter struct {
	Name     string
	settings filterSettings
}

// filterSettings has the fields of ExtAuthz and RBAC (envoy.extensions.filters.http) that are checked.
type filterSettings struct {
	GRPCService struct {
		EnvoyGRPC struct {
			ClusterName string `json:"cluster_name"`
		} `json:"envoy_grpc"`
		Timeout string
	} `json:"grpc_service"`
	FailureModeAllow bool `json:"failure_mode_allow"`
	StatusOnError    struct {
		Code any
	} `json:"status_on_error"`
	Rules struct {
		Policies map[string]json.RawMessage
	}
}

const (
	extAuthzFilter = "envoy.filters.http.ext_authz"
	rbacFilter     = "envoy.filters.http.rbac"
)

// UnmarshalJSON leaves out the settings of other filters, whose fields have other types.
func (f *httpFilter) UnmarshalJSON(text []byte) error {
	var filter struct {
		Name        string
		TypedConfig json.RawMessage `json:"typed_config"`
	}
	if err := json.Unmarshal(text, &filter); err != nil {
		return err
	}
	f.Name = filter.Name
	if f.Name != extAuthzFilter && f.Name != rbacFilter {
		return nil
	}
	return json.Unmarshal(filter.TypedConfig, &f.settings)
}

func askEnvoy(ctx context.Context, e Envoy, timeout time.Duration) envoyAnswers {
	got := envoyAnswers{Envoy: e}
	var info struct{ Node struct{ ID string } }
	var dump struct{ Configs []listenerState }
	var status struct {
		Clusters []clusterStatus `json:"cluster_statuses"`
	}
	for _, ask := range []struct {
		path string
		into any
	}{{"/server_info", &info}, {"/config_dump?resource=dynamic_listeners", &dump}, {"/clusters?format=json", &status}} {
		if got.fault = get(ctx, e.Admin, ask.path, timeout).decode(ask.into); got.fault != nil {
			return got
		}
	}
	if got.node, got.listeners, got.clusters = info.Node.ID, dump.Configs, status.Clusters; got.node == "" {
		got.fault = errors.New("the answers are not of an Envoy that istiod configures")
	}
	return got
}

// workload is the pod and its namespace, as istiod names the Envoy.
func (e envoyAnswers) workload() string {
	if parts := strings.Split(e.node, "~"); len(parts) == 4 {
		return parts[2]
	}
	return ""
}

// guardedChains are the filters of each HTTP chain that requests to the workload pass. A sidecar has them in its inbound
// listeners. Waypoints and gateways have chains of several workloads.
func (e envoyAnswers) guardedChains() (chains [][]httpFilter) {
	isSidecar := strings.HasPrefix(e.node, "sidecar~")
	for _, l := range e.listeners {
		state := l.ActiveState.Listener
		if isSidecar && state.TrafficDirection != "INBOUND" {
			continue
		}
		all := slices.Clone(state.FilterChains)
		if state.DefaultFilterChain != nil {
			all = append(all, *state.DefaultFilterChain)
		}
		for _, chain := range all {
			for _, filter := range chain.Filters {
				if filters := filter.TypedConfig.HTTPFilters; len(filters) > 0 && (isSidecar || hasFilter(filters, extAuthzFilter) || findDenial(filters) != "") {
					chains = append(chains, filters)
				}
			}
		}
	}
	return chains
}

func hasFilter(filters []httpFilter, name string) bool {
	return slices.ContainsFunc(filters, func(f httpFilter) bool { return f.Name == name })
}

// findDenial is the name of istiod's policy that denies every request, because istiod cannot use the provider of an
// AuthorizationPolicy; empty: no such policy.
func findDenial(filters []httpFilter) string {
	for _, f := range filters {
		for name := range f.settings.Rules.Policies {
			if strings.HasSuffix(name, "-deny-due-to-bad-CUSTOM-action") {
				return strings.TrimSuffix(name, "-deny-due-to-bad-CUSTOM-action")
			}
		}
	}
	return ""
}

// askedFilters are the filters that ask the authorizer.
func (e envoyAnswers) askedFilters(provider Provider) (all []httpFilter) {
	for _, filters := range e.guardedChains() {
		for _, f := range filters {
			if f.Name == extAuthzFilter && provider.hasCluster(f.cluster()) {
				all = append(all, f)
			}
		}
	}
	return all
}

// cluster is the Envoy cluster of the authorizer, such as outbound|9000||meshpass.meshpass.svc.cluster.local.
func (f httpFilter) cluster() string { return f.settings.GRPCService.EnvoyGRPC.ClusterName }

// hasCluster reports whether an Envoy cluster is the authorizer's.
func (p Provider) hasCluster(name string) bool {
	host := name[strings.LastIndex(name, "|")+1:]
	if p.Service != "" {
		return host == p.Service
	}
	return strings.Contains(host, "."+p.Namespace+".")
}

func (p Provider) String() string {
	if p.Service != "" {
		return p.Service
	}
	return "one in the namespace " + p.Namespace
}

func checkEnvoys(seen *observations, provider Provider) (lines []Line) {
	if len(seen.envoys) == 0 {
		return seen.describeMissing(envoyCheck, "no address of a guarded workload's Envoy", "give --envoy URL with its admin interface")
	}
	for _, e := range seen.envoys {
		if e.fault != nil {
			lines = append(lines, newFailedLine(envoyCheck, e.Admin, e.fault, "its filters, its connection to the authorizer, what istiod pushed", "look at the sidecar of the pod and its log; give the address of its admin interface (15000 in Istio's)"))
			continue
		}
		lines = append(lines, e.checkFilters(provider))
	}
	return lines
}

// longestTimeout is far above a sensible one: a hanging authorizer holds each request that long.
const longestTimeout = 10 * time.Second

func (e envoyAnswers) checkFilters(provider Provider) Line {
	wrong := func(detail, do string) Line { return Line{envoyCheck, e.Admin.String(), Wrong, detail, do} }
	for _, l := range e.listeners {
		if l.ErrorState != nil {
			return wrong(fmt.Sprintf("Envoy rejected a change of the listener %s: %s", l.Name, l.ErrorState.Details), "an EnvoyFilter that does not fit is the usual cause; istioctl proxy-config listener")
		}
	}
	chains := e.guardedChains()
	asked := e.askedFilters(provider)
	denial := ""
	for _, filters := range chains {
		if found := findDenial(filters); found != "" {
			denial = found
		}
	}
	switch {
	case denial != "":
		return wrong("istiod denies every request, because it cannot use the provider of "+denial,
			"name a provider of MeshConfig, and only one for a workload; meshpass istio providers --check shows what is missing there")
	case len(asked) == 0 && slices.ContainsFunc(chains, func(filters []httpFilter) bool { return hasFilter(filters, extAuthzFilter) }):
		return wrong(fmt.Sprintf("ext_authz asks another service than %s", provider), "correct service in the provider of MeshConfig; or name the authorizer's with --provider-service")
	case len(asked) == 0:
		return wrong("no ext_authz filter: every request passes without a decision", "no AuthorizationPolicy with CUSTOM selects it: compare the pod's label meshpass.dev/guarded with the policies' selectors (docs/install.md)")
	case strings.HasPrefix(e.node, "sidecar~") && len(asked) < len(chains):
		return wrong(fmt.Sprintf("%d of %d HTTP filter chains have no ext_authz filter: their requests pass without a decision", len(chains)-len(asked), len(chains)), "leave conditions on ports out of the AuthorizationPolicy (docs/install.md)")
	}
	for _, f := range asked {
		if detail, do := e.checkSettings(f); detail != "" {
			return wrong(detail, do)
		}
	}
	return Line{envoyCheck, e.Admin.String(), OK, "asks " + describeFilter(asked[0]), ""}
}

// checkSettings returns an empty detail if nothing is wrong.
func (e envoyAnswers) checkSettings(f httpFilter) (detail, do string) {
	settings := f.settings
	timeout, err := time.ParseDuration(settings.GRPCService.Timeout)
	known := slices.ContainsFunc(e.clusters, func(c clusterStatus) bool { return c.Name == f.cluster() })
	switch {
	case !known:
		return fmt.Sprintf("the filter asks %s, and this Envoy has no such cluster", f.cluster()), "the provider's service and port must exist; a Sidecar object must admit its namespace in egress"
	case settings.FailureModeAllow && !e.Open:
		return "open: while the authorizer cannot be asked, every request passes", "use the closed provider (label meshpass.dev/guarded: \"true\"), unless this is intended (docs/failure-modes.md)"
	case !settings.FailureModeAllow && e.Open:
		return "closed, although its label asks for the open provider", "compare the provider's failOpen in MeshConfig"
	case err != nil || timeout <= 0:
		return "no timeout: a hanging authorizer holds each request for 600 s", "set timeout: 0.25s in the provider of MeshConfig"
	case timeout > longestTimeout:
		return fmt.Sprintf("timeout %s: a hanging authorizer holds each request that long", timeout), "set timeout: 0.25s in the provider of MeshConfig"
	default:
		return "", ""
	}
}

func describeFilter(f httpFilter) string {
	mode := "closed"
	if f.settings.FailureModeAllow {
		mode = "open"
	}
	text := fmt.Sprintf("%s, %s, timeout %s", f.cluster(), mode, f.settings.GRPCService.Timeout)
	if code := f.settings.StatusOnError.Code; code != nil {
		text += fmt.Sprintf(", %v on error", code)
	}
	return text
}
