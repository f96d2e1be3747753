// Package workloadrules finds faults in the pods of the authorizer, of Tyk's gateway and of the mesh: files that no volume has, variables
// that nothing sets, ports without a listener.
package workloadrules

import (
	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
)

var registry = finding.Registry{Area: finding.Workloads}

// Rules are the rules of this package.
func Rules() []*finding.Rule { return registry.Rules }

// checker looks for faults.
type checker struct {
	*model.Model
	report *finding.Report
}

// Check looks for all faults.
func Check(m *model.Model, report *finding.Report) {
	c := &checker{Model: m, report: report}
	c.checkAuthorizers()
	c.checkGateways()
	c.checkServices()
	c.checkNetworks()
}
