package workloadrules

import (
	"cmp"
	"net"
	"strconv"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

var probeMismatch = registry.Define("probe_mismatch", finding.Error,
	"A probe of the authorizer asks a port or a path that does not answer, or the path for another purpose.",
	"The pods never become ready or restart again and again; or a liveness probe restarts authorizers that lack keys, and a readiness probe sends Checks to them.",
	"Ask the port of ops over HTTP: /readyz for readiness and startup, /livez for liveness.")

// checkProbes compares the probes of an authorizer's container with its configuration.
func (c *checker) checkProbes(w *model.Workload, container *objects.Node, content *objects.Content) {
	ops := content.Root.Find("ops")
	_, port, err := net.SplitHostPort(ops.String())
	for kind, path := range map[string]string{"readinessProbe": "/readyz", "startupProbe": "/readyz", "livenessProbe": "/livez"} {
		probe := container.FindPath(kind, "httpGet")
		asked := probe.Find("port")
		number := asked.Int()
		if number == 0 {
			number = w.FindContainerPort(asked.String())
		}
		switch at := probe.Find("path"); {
		case asked.IsEmpty() || number == 0:
		case ops.IsEmpty():
			c.report.Add(probeMismatch, asked, "the %s of %s asks port %s, and its configuration has no ops", kind, w.Title(), asked.String())
		case err == nil && strconv.Itoa(number) != port:
			c.report.Add(probeMismatch, asked, "the %s of %s asks port %d, and ops is %s", kind, w.Title(), number, ops.String())
		case probe.Find("scheme").String() == "HTTPS":
			c.report.Add(probeMismatch, probe.Find("scheme"), "the %s of %s asks in HTTPS, and ops is plain HTTP", kind, w.Title())
		case at.String() != "/livez" && at.String() != "/readyz":
			c.report.Add(probeMismatch, cmp.Or(at, probe), "the %s of %s asks %q, and ops has /livez and /readyz", kind, w.Title(), at.String())
		case at.String() != path && kind != "startupProbe":
			c.report.Add(probeMismatch, at, "the %s of %s asks %s in place of %s", kind, w.Title(), at.String(), path)
		}
	}
}
