package tykroute

// Candidates are the listen paths and aliases that are compared with a request.
func (r *Router) Candidates(host, path string) (all []string) {
	for _, e := range r.findCandidates(host, path) {
		all = append(all, e.prefix)
	}
	return all
}

// RemoveUnreachable is what tables do with their rules.
func RemoveUnreachable(rules []Rule) []Rule { return removeUnreachable(rules, pathSet{}) }

// NewWhole makes the whole table of rules for a host, and of rules for all hosts.
func NewWhole(own, shared []Rule) []Rule {
	then, forwards := newSharedTable(shared)
	return Table{Rules: removeUnreachable(own, forwards), Then: then}.Whole().Rules
}
