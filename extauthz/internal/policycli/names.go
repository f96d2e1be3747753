package policycli

import (
	"fmt"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// TargetNames are the targets of all documents, sorted.
func TargetNames(set *policy.Set) []string { return patternNames(set.Targets()) }

// CallerNames are the callers that rules name, sorted.
func CallerNames(set *policy.Set) []string { return patternNames(set.Callers()) }

func patternNames(patterns []identity.Pattern) []string {
	var names []string
	for _, p := range patterns {
		names = append(names, p.String())
	}
	return names
}

// maxNames is how many names a message lists.
const maxNames = 20

// JoinNames is the part of a message that lists names: the first 20 of them.
func JoinNames(names []string) string {
	if more := len(names) - maxNames; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNames], ", "), more)
	}
	return strings.Join(names, ", ")
}
