package istiorules

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/suggest"
)

var (
	samplingCuts = registry.Define("tracing_sampling", finding.Warning,
		"The mesh samples fewer than all traces.",
		"Envoy clears the flag of a sampled parent: a trace that began at the gateway loses its tail at the first hop. Istio's default is 1 %.",
		"Set randomSamplingPercentage: 100, and decide at the gateway which requests are sampled.")
	contextCut = registry.Define("tracing_context_disabled", finding.Warning,
		"A Telemetry object switches the propagation of trace contexts off.",
		"Envoy reports its spans and passes the request's traceparent on unchanged: each hop's span is beside that of its caller, not below it. Without a traceparent each hop begins a trace of its own, and audit records have no trace id.",
		"Remove disableContextPropagation.")
	tracerUnknown = registry.Define("tracing_provider_unknown", finding.Warning,
		"A Telemetry object, or defaultProviders of the MeshConfig, names a provider for traces that extensionProviders does not have, or one of another kind.",
		"istiod configures no tracing: the proxies report no spans, and a trace ends at the gateway.",
		"Add the provider to extensionProviders, as the comment of manifests/istio/tracing/telemetry.yaml does, or correct its name.")
	requestIDSamples = registry.Define("tracing_request_id", finding.Warning,
		"Tracing is on, and useRequestIdForTraceSampling is not false.",
		"Envoy drops the trace of a request whose X-Request-Id is no UUID, although Tyk sampled it, and replaces a digit of a UUID: the records of the edge and of the mesh have different request ids.",
		"Set useRequestIdForTraceSampling: false, as in manifests/istio/tracing.")
	accessLogFields = registry.Define("access_log_without_decision", finding.Warning,
		"The access log has no field with the decision, or there is no access log.",
		"A denied request cannot be joined with its audit record.",
		"Add \"decision_id\": \"%DYNAMIC_METADATA(envoy.filters.http.ext_authz:decision_id)%\", as in manifests/istio/install.yaml.")
	statsHidden = registry.Define("ext_authz_stats_hidden", finding.Warning,
		"The proxies' statistics leave the counters of ext_authz out.",
		"ext_authz.failure_mode_allowed is the only sign that requests pass without a Check.",
		"Set defaultConfig.proxyStatsMatcher.inclusionRegexps: [\".*ext_authz.*\"].")
)

func (c *checker) checkTelemetry() {
	if len(c.policies) == 0 {
		return
	}
	for _, mesh := range c.Meshes {
		c.checkSampling(mesh)
		c.checkTracers(mesh)
		c.checkAccessLog(mesh)
		c.checkStats(mesh)
	}
	for _, o := range c.OfKind(objects.Telemetry, "Telemetry") {
		isOfGateway := c.appliesToGateways(o)
		if !isOfGateway { // the first proxy of a trace decides what is sampled
			c.checkTracing(o)
		}
		if !isOfGateway || slices.ContainsFunc(c.policies, func(policy *objects.Object) bool { return sharesTarget(c, policy, o) }) {
			c.checkAccessLogging(o)
		}
	}
	for _, o := range c.OfKind(objects.Networking, "EnvoyFilter") {
		o.Spec().Find("configPatches").Walk(func(n *objects.Node) bool {
			isRate := n.Key == "random_sampling" || n.Key == "randomSampling" || n.Key == "overall_sampling" || n.Key == "overallSampling"
			if rate := n.Find("value"); isRate && (n.Kind == objects.Map && rate == nil || rate != nil && isBelow100(rate)) {
				c.report.Add(samplingCuts, n, "%s samples %s %% of all traces", o.Title(), cmp.Or(rate.String(), "0"))
			}
			return true
		})
	}
	for _, w := range c.Workloads {
		if c.IsGuarded(w) {
			c.checkOwnProxyConfig(w)
		}
	}
}

func isBelow100(n *objects.Node) bool {
	value, err := strconv.ParseFloat(n.String(), 64)
	return err == nil && value < 100
}

// checkSampling checks the mesh's own rate, which Telemetry objects can replace.
func (c *checker) checkSampling(mesh *model.Mesh) {
	if n := mesh.Find("defaultConfig", "tracing", "sampling"); n != nil && isBelow100(n) && !c.replacesSampling() {
		c.report.Add(samplingCuts, n, "the mesh samples %s %% of all traces", n.String())
	} else if providers := mesh.Find("defaultProviders", "tracing"); n == nil && !c.replacesSampling() && !c.samplesAll(mesh) &&
		slices.ContainsFunc(providers.Texts(), func(name string) bool { return mesh.FindProvider(name) != nil }) {
		c.report.Add(samplingCuts, providers, "the mesh traces without a rate of sampling, and Istio's default is 1 %%")
	}
	for _, p := range mesh.Providers() {
		if n := p.Config.FindPath("sampling", "samplingPercentage"); n != nil && isBelow100(n) {
			c.report.Add(samplingCuts, n, "provider %s samples %s %%", p.Name, n.String())
		}
	}
}

// tracers are the kinds of providers that take spans.
var tracers = []string{"opentelemetry", "zipkin", "lightstep", "datadog", "stackdriver", "opencensus", "skywalking"}

// checkTracers looks the providers for traces up. Istio uses the first one of a list, and compares names without regard to case.
func (c *checker) checkTracers(mesh *model.Mesh) {
	lists := []*objects.Node{mesh.Find("defaultProviders", "tracing")}
	for _, o := range c.OfKind(objects.Telemetry, "Telemetry") {
		for _, tracing := range o.Spec().Find("tracing").Entries() {
			if !tracing.Find("disableSpanReporting").IsTrue() {
				lists = append(lists, tracing.Find("providers"))
			}
		}
	}
	known := map[string]*model.Provider{"stackdriver": nil} // Istio's own
	for _, p := range mesh.Providers() {
		known[strings.ToLower(p.Name)] = p
	}
	for _, list := range lists {
		if list.IsEmpty() {
			continue
		}
		first := list.Entries()[0]
		if named := first.Find("name"); named != nil {
			first = named
		}
		p, found := known[strings.ToLower(first.String())]
		switch {
		case !found:
			c.report.Add(tracerUnknown, first, "the MeshConfig has no provider %s%s", first.String(), suggest.DidYouMean(first.String(), slices.Collect(maps.Keys(known))))
		case p != nil && !slices.Contains(tracers, p.Config.Key):
			c.report.Add(tracerUnknown, first, "the provider %s is no provider for traces: it is %s", first.String(), p.Config.Key)
		}
	}
}

// replacesSampling reports a Telemetry object of the whole mesh with a rate.
func (c *checker) replacesSampling() bool {
	return slices.ContainsFunc(c.OfKind(objects.Telemetry, "Telemetry"), func(o *objects.Object) bool {
		return o.Namespace == c.RootNamespace && model.SelectorOf(o).IsEmpty() && slices.ContainsFunc(o.Spec().Find("tracing").Entries(), func(n *objects.Node) bool { return n.Find("randomSamplingPercentage") != nil })
	})
}

// appliesToGateways reports an object for gateways alone, by its targets or by its selector.
func (c *checker) appliesToGateways(o *objects.Object) bool {
	if refs := c.TargetRefs(o); len(refs) > 0 {
		return !slices.ContainsFunc(refs, func(ref *objects.Node) bool {
			gateway := c.FindGateway(o.Namespace, ref.Find("name").String())
			return ref.Find("kind").String() != "Gateway" || gateway != nil && model.IsWaypoint(gateway)
		})
	}
	selector := model.SelectorOf(o)
	if selector.IsEmpty() {
		return false
	}
	selected := slices.DeleteFunc(slices.Clone(c.Workloads), func(w *model.Workload) bool { return !c.Selects(o, w) })
	if len(selected) > 0 {
		return !slices.ContainsFunc(selected, func(w *model.Workload) bool { return !w.IsGateway() })
	}
	return strings.HasSuffix(selector.Find("istio").String(), "gateway") || slices.ContainsFunc(c.OfKind(objects.Networking, "Gateway"), func(gateway *objects.Object) bool { return c.selectsGateway(o, gateway) })
}

// sharesTarget reports a policy with the same selector or target as another object.
func sharesTarget(c *checker, policy, o *objects.Object) bool {
	selector := model.SelectorOf(policy).TextMap()
	if len(selector) > 0 && maps.Equal(selector, model.SelectorOf(o).TextMap()) {
		return true
	}
	return slices.ContainsFunc(c.TargetRefs(policy), func(ref *objects.Node) bool {
		return slices.ContainsFunc(c.TargetRefs(o), func(other *objects.Node) bool {
			return policy.Namespace == o.Namespace && other.Find("name").String() == ref.Find("name").String()
		})
	})
}

func (c *checker) checkTracing(o *objects.Object) {
	for _, tracing := range o.Spec().Find("tracing").Entries() {
		if tracing.Find("disableSpanReporting").IsTrue() {
			continue
		}
		rate := tracing.Find("randomSamplingPercentage")
		switch {
		case rate != nil && isBelow100(rate):
			c.report.Add(samplingCuts, rate, "%s samples %s %% of all traces", o.Title(), rate.String())
		case rate == nil && !tracing.Find("providers").IsEmpty() && !c.samplesAllElsewhere(o):
			c.report.Add(samplingCuts, tracing, "%s has no randomSamplingPercentage, and Istio's default is 1 %%", o.Title())
		case tracing.Find("useRequestIdForTraceSampling").IsTrue():
			c.report.Add(requestIDSamples, tracing.Find("useRequestIdForTraceSampling"), "%s samples by the request's id", o.Title())
		case tracing.Find("useRequestIdForTraceSampling") == nil && !tracing.Find("providers").IsEmpty() && !c.ignoresRequestIDs(o):
			c.report.Add(requestIDSamples, tracing, "%s has no useRequestIdForTraceSampling, and Istio's default is true", o.Title())
		}
		if n := tracing.Find("disableContextPropagation"); n.IsTrue() {
			c.report.Add(contextCut, n, "%s switches it off", o.Title())
		}
	}
}

// ignoresRequestIDs reports another object that applies where an object applies, with useRequestIdForTraceSampling: false.
func (c *checker) ignoresRequestIDs(o *objects.Object) bool {
	return slices.ContainsFunc(c.OfKind(objects.Telemetry, "Telemetry"), func(other *objects.Object) bool {
		isWider := model.SelectorOf(other).IsEmpty() && len(c.TargetRefs(other)) == 0 && (other.Namespace == c.RootNamespace || other.Namespace == o.Namespace)
		return isWider && slices.ContainsFunc(other.Spec().Find("tracing").Entries(), func(n *objects.Node) bool { return n.Find("useRequestIdForTraceSampling").IsFalse() })
	})
}

func (c *checker) checkAccessLogging(o *objects.Object) {
	for _, log := range o.Spec().Find("accessLogging").Entries() {
		if disabled := log.Find("disabled"); disabled.IsTrue() && log.FindPath("match", "mode").String() != "CLIENT" {
			c.report.Add(accessLogFields, disabled, "%s switches the access log off", o.Title())
		}
		if filter := log.FindPath("filter", "expression"); log.FindPath("match", "mode").String() != "CLIENT" && leavesDenialsOut(filter.String()) {
			c.report.Add(accessLogFields, filter, "%s leaves denied requests (403) out of the access log", o.Title())
		}
	}
}

var statusBound = regexp.MustCompile(`^\s*response\.code\s*(==|!=|>=|<=|>|<)\s*(\d+)\s*$`)

// leavesDenialsOut reports an expression for the status of the answer alone that 403 does not meet.
func leavesDenialsOut(expression string) bool {
	match := statusBound.FindStringSubmatch(expression)
	if match == nil {
		return false
	}
	const denial = 403
	bound, _ := strconv.Atoi(match[2])
	meets := map[string]bool{"==": denial == bound, "!=": denial != bound, ">=": denial >= bound, "<=": denial <= bound, ">": denial > bound, "<": denial < bound}
	return !meets[match[1]]
}

// samplesAllElsewhere reports a rate of 100 in the MeshConfig or in an object of the whole mesh.
func (c *checker) samplesAllElsewhere(o *objects.Object) bool {
	return slices.ContainsFunc(c.Meshes, c.samplesAll) || o.Namespace != c.RootNamespace && c.replacesSampling()
}

// samplesAll reports a rate of 100 in a MeshConfig, or in the settings of its istiod.
func (c *checker) samplesAll(mesh *model.Mesh) bool {
	if n := mesh.Find("defaultConfig", "tracing", "sampling"); n != nil && !isBelow100(n) {
		return true
	}
	for _, text := range []string{mesh.FindValue("pilot", "traceSampling").String(), mesh.FindValue("traceSampling").String(), c.IstiodVariable(mesh, "PILOT_TRACE_SAMPLING")} {
		if rate, err := strconv.ParseFloat(text, 64); err == nil && rate >= 100 {
			return true
		}
	}
	return false
}

// logsDecision reports a format with the id of the decision, or with the whole metadata.
func logsDecision(format *objects.Node) bool {
	found := false
	format.Walk(func(n *objects.Node) bool {
		found = found || strings.Contains(n.String(), "DYNAMIC_METADATA(envoy.filters.http.ext_authz:decision_id)") || strings.Contains(n.String(), "DYNAMIC_METADATA(envoy.filters.http.ext_authz)")
		return !found
	})
	return found
}

func (c *checker) checkAccessLog(mesh *model.Mesh) {
	file, format := mesh.Find("accessLogFile"), mesh.Find("accessLogFormat")
	used := c.logProviders()
	switch {
	case file.String() != "" && format.IsEmpty():
		c.report.Add(accessLogFields, file, "the access log has Istio's own format")
	case file.String() != "" && !logsDecision(format):
		c.report.Add(accessLogFields, format, "the format of the access log has no decision_id")
	case file.String() == "" && len(used) == 0:
		c.report.Add(accessLogFields, mesh.Root, "there is no access log")
	}
	names := []string{builtInLog, "otel", "stackdriver"}
	for _, p := range mesh.Providers() {
		names = append(names, p.Name)
		if !slices.Contains(used, p.Name) {
			continue
		}
		for _, kind := range []string{"envoyFileAccessLog", "envoyOtelAls"} {
			if n := p.Node.Find(kind); n != nil && !logsDecision(n.Find("logFormat")) {
				c.report.Add(accessLogFields, n, "the format of the access log provider %s has no decision_id", p.Name)
			}
		}
	}
	for _, n := range c.logProviderNodes() {
		if n.String() == builtInLog && mesh.FindProvider(builtInLog) == nil && !logsDecision(format) {
			c.report.Add(accessLogFields, n, "the access log has Istio's own format")
		} else if !slices.Contains(names, n.String()) {
			c.report.Add(accessLogFields, n, "the MeshConfig has no access log provider %s%s", n.String(), suggest.DidYouMean(n.String(), names))
		}
	}
}

// builtInLog is the provider that Istio has by itself, with the format of the MeshConfig.
const builtInLog = "envoy"

// logProviders are the names of providers that are used for access logs.
func (c *checker) logProviders() (names []string) {
	for _, n := range c.logProviderNodes() {
		names = append(names, n.String())
	}
	return names
}

// logProviderNodes are the names of providers that Telemetry objects, or the MeshConfigs, use for access logs.
func (c *checker) logProviderNodes() (nodes []*objects.Node) {
	for _, o := range c.OfKind(objects.Telemetry, "Telemetry") {
		for _, log := range o.Spec().Find("accessLogging").Entries() {
			for _, p := range log.Find("providers").Entries() {
				nodes = append(nodes, p.Find("name"))
			}
		}
	}
	for _, mesh := range c.Meshes {
		nodes = append(nodes, mesh.Find("defaultProviders", "accessLogging").Entries()...)
	}
	return nodes
}

// extAuthzStat is a counter as Envoy names it.
const extAuthzStat = "cluster.inbound|8080||.ext_authz.failure_mode_allowed"

func (c *checker) checkStats(mesh *model.Mesh) {
	list := func(name string) []string { return mesh.Find("defaultConfig", "proxyStatsMatcher", name).Texts() }
	if showsStat(list("inclusionRegexps"), list("inclusionPrefixes"), list("inclusionSuffixes")) {
		return
	}
	matcher := mesh.Find("defaultConfig", "proxyStatsMatcher")
	at := mesh.Root
	if matcher != nil {
		at = matcher
	}
	c.report.Add(statsHidden, at, "defaultConfig.proxyStatsMatcher does not include ext_authz")
}

func showsStat(patterns, prefixes, suffixes []string) bool {
	return slices.ContainsFunc(patterns, func(text string) bool {
		pattern, err := regexp.Compile("^(?:" + text + ")$")
		return err == nil && pattern.MatchString(extAuthzStat)
	}) || slices.ContainsFunc(prefixes, func(text string) bool { return text != "" && strings.HasPrefix(extAuthzStat, text) }) ||
		slices.ContainsFunc(suffixes, func(text string) bool { return text != "" && strings.HasSuffix(extAuthzStat, text) })
}

// checkOwnProxyConfig checks the pods' annotation that replaces parts of the mesh's defaultConfig.
func (c *checker) checkOwnProxyConfig(w *model.Workload) {
	annotation := w.Annotation("proxy.istio.io/config")
	if matcher, isMap := w.ProxyConfig("proxyStatsMatcher").(map[string]any); isMap && !showsStat(textsOf(matcher["inclusionRegexps"]), textsOf(matcher["inclusionPrefixes"]), textsOf(matcher["inclusionSuffixes"])) {
		c.report.Add(statsHidden, annotation, "%s replaces the mesh's proxyStatsMatcher, and leaves ext_authz out", w.Title())
	}
	c.checkStatsAnnotations(w)
	if rate := w.ProxyConfig("tracing", "sampling"); rate != nil {
		if value, isNumber := toFloat(rate); isNumber && value < 100 {
			c.report.Add(samplingCuts, annotation, "%s samples %v %% of all traces", w.Title(), value)
		}
	}
}

// checkStatsAnnotations checks the annotations that replace one list of the mesh's proxyStatsMatcher each.
func (c *checker) checkStatsAnnotations(w *model.Workload) {
	if w.ProxyConfig("proxyStatsMatcher") != nil {
		return
	}
	for _, mesh := range c.MeshesOf(w) {
		var replaced *objects.Node
		list := func(annotation, name string) []string {
			if n := w.Annotation("sidecar.istio.io/" + annotation); n.String() != "" {
				replaced = n
				return strings.Split(n.String(), ",")
			}
			return mesh.Find("defaultConfig", "proxyStatsMatcher", name).Texts()
		}
		shown := showsStat(list("statsInclusionRegexps", "inclusionRegexps"), list("statsInclusionPrefixes", "inclusionPrefixes"), list("statsInclusionSuffixes", "inclusionSuffixes"))
		if replaced != nil && !shown {
			c.report.Add(statsHidden, replaced, "%s replaces a list of the mesh's proxyStatsMatcher, and leaves ext_authz out", w.Title())
		}
	}
}

func toFloat(value any) (float64, bool) {
	switch v := value.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func textsOf(value any) (all []string) {
	list, _ := value.([]any)
	for _, each := range list {
		if text, isText := each.(string); isText {
			all = append(all, text)
		}
	}
	return all
}
