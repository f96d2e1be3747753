// Package istiorules finds faults in MeshConfig, in objects of Istio and of the Gateway API, and in workloads. The facts are those of
// Istio 1.31 with Envoy 1.39.
package istiorules

import (
	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

var registry = finding.Registry{Area: finding.Istio}

// Rules are the rules of this package.
func Rules() []*finding.Rule { return registry.Rules }

// checker looks for faults.
type checker struct {
	*model.Model
	report   *finding.Report
	policies []*objects.Object        // CUSTOM, and for our authorizer
	invalid  map[*objects.Object]bool // policies with ports that are no numbers
	calls    calls
	hiding   map[*objects.Node]bool // settings that hide the authorizer from a proxy
}

// Check looks for all faults.
func Check(m *model.Model, report *finding.Report) {
	c := &checker{Model: m, report: report, policies: m.AskingPolicies(), invalid: map[*objects.Object]bool{}, hiding: map[*objects.Node]bool{}}
	c.findCalls()
	c.checkProviders()
	c.checkPolicies()
	c.checkDiscovery()
	c.checkWorkloads()
	c.checkCallers()
	c.checkWaypoints()
	c.checkHeaders()
	c.checkRoutes()
	c.checkEgress()
	c.checkDestinations()
	c.checkTelemetry()
	c.checkFields()
}

// addNote records what could not be compared, because the input does not have it.
func (c *checker) addNote(text string) { c.Set.AddNote(text) }
