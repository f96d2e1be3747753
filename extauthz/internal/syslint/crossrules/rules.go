// Package crossrules compares what Tyk, Istio and Meshpass say of the same things: issuers, workloads, claims, policies.
package crossrules

import (
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
)

var registry = finding.Registry{Area: finding.Across}

// Rules are the rules of this package.
func Rules() []*finding.Rule { return registry.Rules }

// checker looks for faults.
type checker struct {
	*model.Model
	report   *finding.Report
	now      time.Time
	complete bool // the input has all workloads
	served   []*model.API
	loopedTo map[string]bool // ids of APIs that get requests of other APIs
}

// Check looks for all faults.
func Check(m *model.Model, report *finding.Report) {
	c := &checker{Model: m, report: report, now: time.Now(), served: m.ServedAPIs()}
	c.complete = c.hasWorkloads()
	c.findLoops()
	c.checkTrust()
	c.checkDomains()
	c.checkGrants()
	c.checkNames()
	c.checkCallers()
	c.checkCoverage()
	c.checkClients()
	c.checkTykPolicies()
	c.checkUpstreams()
	c.checkPluginAPIs()
	c.checkOpenIDClients()
	c.checkKeySubjects()
	c.checkRuleNames()
	c.checkConstants()
	c.checkNoPrincipal()
	c.checkIdentityHeaders()
	c.checkRulePaths()
	c.checkAdmissions()
	c.checkRevocations()
	c.checkAddresses()
	c.checkOverrides()
	c.checkFiles()
	c.checkServiceLists()
	c.checkKeyFiles()
}
