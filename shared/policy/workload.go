package policy

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
)

// workloadPattern is a workload as a document names it: "ns/shop/sa/orders",
// with * for a whole segment, or a literal "spiffe://…" id of a foreign domain.
type workloadPattern struct {
	literal            identity.Workload
	namespace, account string // "*" matches any; only where literal is empty
}

var (
	localForm   = regexp.MustCompile(`^ns/(\*|[a-z0-9][a-z0-9.-]*)/sa/(\*|[a-z0-9][a-z0-9.-]*)$`)
	foreignForm = regexp.MustCompile(`^spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)+$`)
)

func parseWorkload(text string) (workloadPattern, error) {
	if foreignForm.MatchString(text) {
		return workloadPattern{literal: identity.Workload(text)}, nil
	}
	m := localForm.FindStringSubmatch(text)
	switch {
	case m == nil:
		return workloadPattern{}, fmt.Errorf("%q: want ns/NAMESPACE/sa/ACCOUNT, with * for a whole segment, or spiffe://DOMAIN/PATH", text)
	case m[1] == "*" || m[2] == "*":
		return workloadPattern{namespace: m[1], account: m[2]}, nil
	default:
		return workloadPattern{literal: identity.Workload(text)}, nil
	}
}

func (p workloadPattern) match(w identity.Workload) bool {
	if p.literal != "" {
		return p.literal == w
	}
	rest, local := strings.CutPrefix(string(w), "ns/")
	namespace, account, found := strings.Cut(rest, "/sa/")
	return local && found && (p.namespace == "*" || p.namespace == namespace) && (p.account == "*" || p.account == account)
}
