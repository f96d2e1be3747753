package istiorules

import (
	"slices"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// calls are the callers and the targets of documents. They are found once, because an input has thousands of workloads.
type calls struct {
	hosts   map[*model.Workload][]*model.Host     // that lead to a guarded workload
	targets map[*model.Document][]*model.Workload // guarded ones
	callers map[*model.Document][]*model.Workload // that an allow rule names, without a pattern
	named   map[*model.Workload][]*model.Document // the documents that name a caller
}

func (c *checker) findCalls() {
	c.calls = calls{hosts: map[*model.Workload][]*model.Host{}, targets: map[*model.Document][]*model.Workload{}, callers: map[*model.Document][]*model.Workload{}, named: map[*model.Workload][]*model.Document{}}
	guarded := map[*model.Workload]bool{}
	identities := map[string][]*model.Workload{}
	for _, w := range c.Workloads {
		identities[w.Identity()] = append(identities[w.Identity()], w)
		if !c.IsGuarded(w) {
			continue
		}
		guarded[w] = true
		for _, d := range c.DocumentsFor(w) {
			c.calls.targets[d] = append(c.calls.targets[d], w)
		}
	}
	for _, h := range c.Hosts {
		for _, w := range c.WorkloadsOf(h) {
			if guarded[w] {
				c.calls.hosts[w] = append(c.calls.hosts[w], h)
			}
		}
	}
	for _, d := range c.Documents {
		for _, rule := range d.Spec().Find("rules").Entries() {
			if rule.Find("effect").String() == "allow" {
				c.addCallers(d, rule, identities)
			}
		}
	}
}

func (c *checker) addCallers(d *model.Document, rule *objects.Node, identities map[string][]*model.Workload) {
	for _, text := range rule.FindPath("from", "workloads").Texts() {
		pattern, err := c.Domains().ParsePattern(text)
		if err != nil {
			continue
		}
		for _, w := range identities[string(pattern.Literal())] {
			if !slices.Contains(c.calls.callers[d], w) {
				c.calls.callers[d] = append(c.calls.callers[d], w)
				c.calls.named[w] = append(c.calls.named[w], d)
			}
		}
	}
}
