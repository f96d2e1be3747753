package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/status"
)

// authorizerAnswer is the report of one authorizer.
type authorizerAnswer struct {
	answer
	report *status.Report // nil: no report
	fault  error          // why
}

func askAuthorizer(ctx context.Context, at Address, timeout time.Duration) authorizerAnswer {
	a := authorizerAnswer{answer: get(ctx, at, status.Path, timeout)}
	var report status.Report
	switch a.fault = a.decode(&report); {
	case a.fault != nil:
	case report.State == "":
		a.fault = errors.New("the answer is no report of an authorizer")
	default:
		a.report = &report
	}
	return a
}

func (seen *observations) reports() (all []authorizerAnswer) {
	for _, a := range seen.authorizers {
		if a.report != nil {
			all = append(all, a)
		}
	}
	return all
}

func checkAuthorizers(seen *observations) (lines []Line) {
	if len(seen.authorizers) == 0 {
		return seen.describeMissing(authorizerCheck, "no address of an authorizer", "give --authorizer ADDRESS for each replica")
	}
	for _, a := range seen.authorizers {
		if a.report == nil {
			lines = append(lines, newFailedLine(authorizerCheck, a.from, a.fault, "its generation, keys and clock", "look at the pod and its log; with the closed provider, Envoys answer 503 if no replica is left (docs/failure-modes.md)"))
			continue
		}
		findings := slices.DeleteFunc(a.report.Findings(), isAboutGeneration)
		for _, finding := range findings {
			lines = append(lines, Line{authorizerCheck, a.from.String(), Wrong, finding, adviseFinding(finding)})
		}
		if len(findings) == 0 {
			lines = append(lines, Line{authorizerCheck, a.from.String(), OK, fmt.Sprintf("ready, documents: %d, unguarded: %s", a.report.Policies.Documents, a.report.Policies.Unguarded), ""})
		}
	}
	return lines
}

// isAboutGeneration: the check of generations has a line for it.
func isAboutGeneration(finding string) bool { return strings.HasPrefix(finding, "generation ") }

// adviseFinding is the next step for a finding of an authorizer.
func adviseFinding(finding string) string {
	switch {
	case strings.Contains(finding, " is rejected: "):
		return "fix or revert the file; do not restart: a reload keeps the last good state (docs/operations.md#alert-change-rejected)"
	case strings.HasPrefix(finding, "issuer "):
		return "docs/operations.md#alert-keys-unavailable"
	case strings.HasPrefix(finding, "revocations in "):
		return "docs/operations.md#alert-revocations-vanished"
	case strings.HasPrefix(finding, "audit chain: "):
		return chainAdvice
	case strings.HasPrefix(finding, "audit: "):
		return "docs/operations.md#alert-audit-lost"
	case strings.HasPrefix(finding, "not ready"):
		return "meshpass health, which gives the cause"
	default:
		return "meshpass status, and docs/operations.md#alert-change-rejected"
	}
}

// chainAdvice is the next step if checkpoints are missing.
const chainAdvice = "docs/operations.md#alert-audit-chain-unsigned"

// checkGenerations compares the generations of the files of all replicas, which are the same, and of what is active. The
// replica whose policies were loaded last has the newest files.
func checkGenerations(seen *observations) (lines []Line) {
	reports := seen.reports()
	if len(reports) == 0 {
		return notCheckedWithout(seen, generationCheck, "no authorizer gave a report")
	}
	newest := reports[0]
	for _, a := range reports {
		if a.policiesLoaded().After(newest.policiesLoaded()) {
			newest = a
		}
	}
	wanted := newest.report.Policies.Wanted
	for _, a := range reports {
		p := a.report.Policies
		switch {
		case p.Wanted != wanted:
			lines = append(lines, Line{generationCheck, a.from.String(), Wrong,
				fmt.Sprintf("%s is active, and %s loaded %s later", p.Generation, newest.from, wanted),
				"kubelet needs up to two minutes for a ConfigMap; after that compare the volumes and delete this pod (docs/operations.md#alert-generations-differ)"})
		case p.Generation != p.Wanted:
			lines = append(lines, Line{generationCheck, a.from.String(), Wrong,
				fmt.Sprintf("%s is active, the files contain %s", p.Generation, p.Wanted), "fix the rejected documents, which the lines of authorizer name"})
		default:
			lines = append(lines, Line{generationCheck, a.from.String(), OK, p.Generation, ""})
		}
	}
	return lines
}

func (a authorizerAnswer) policiesLoaded() time.Time {
	for _, s := range a.report.Sources {
		if s.Name == "policies" {
			return s.Since
		}
	}
	return time.Time{}
}

// notCheckedWithout is the line of a check that needs authorizers. The line of the authorizer itself describes why there is no
// report, so a check is not repeated as unchecked for authorizers that are down.
func notCheckedWithout(seen *observations, check, detail string) []Line {
	for _, a := range seen.authorizers {
		if a.fault != nil && !errors.Is(a.fault, ErrNotReached) {
			return nil
		}
	}
	return []Line{{Check: check, Result: NotChecked, Detail: detail, Do: "see the lines of authorizer"}}
}
