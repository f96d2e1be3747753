package policycli

import (
	"fmt"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// TargetNames returns the targets of all documents, sorted.
func TargetNames(set *policy.Set) []string { return patternNames(set.Targets()) }

// CallerNames returns the callers that rules name, sorted.
func CallerNames(set *policy.Set) []string { return patternNames(set.Callers()) }

func patternNames(patterns []identity.Pattern) []string {
	var names []string
	for _, p := range patterns {
		names = append(names, p.String())
	}
	return names
}

// maxNames is the largest number of names that a message lists.
const maxNames = 20

// JoinNames writes names as a list for a message: the first 20 and the number of others.
func JoinNames(names []string) string {
	if more := len(names) - maxNames; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNames], ", "), more)
	}
	return strings.Join(names, ", ")
}
