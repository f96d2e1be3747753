package tykroute

// Candidates are the listen paths and aliases that are compared with a path.
func (r *Router) Candidates(path string) (all []string) {
	for _, i := range r.index.Find(path) {
		all = append(all, r.entries[i].prefix)
	}
	return all
}

// RemoveUnreachable is what tables do with their rules.
func RemoveUnreachable(rules []Rule) []Rule { return removeUnreachable(rules) }
