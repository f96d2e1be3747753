package kind

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/e2e/scenarios"
)

// The tests of this file run the commands of "Break glass" in docs/operations.md as the page has them, and
// check the effect of each, and of the way back.

const breakGlassPage = "docs/operations.md"

var (
	otherTenant = scenarios.Send{To: "gateway", Method: "GET", Path: "/jwt/tenants/globex/orders/1001", As: "alice"}
	tokenless   = scenarios.Send{From: "ns/shop/sa/inventory", To: "orders", Method: "GET", Path: "/tenants/acme/orders/1001"}
)

// Headings of the section.
const (
	liftPolicies = "Lift the policies of a workload"
	letPass      = "Let a workload pass while Meshpass cannot be asked"
	takeOut      = "Take Meshpass out of the path"
)

// breakGlass is the commands of one heading: what to do, and how to go back.
type breakGlass struct{ do, back string }

var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// findBreakGlass reads the two blocks of commands below a heading of the page.
func findBreakGlass(page, heading string) (breakGlass, error) {
	_, section, found := strings.Cut(page, "\n### "+heading+"\n")
	if !found {
		return breakGlass{}, fmt.Errorf("%s: no heading %q", breakGlassPage, heading)
	}
	section = regexp.MustCompile(`(?m)^#`).Split(section, 2)[0]
	blocks := shellBlock.FindAllStringSubmatch(section, -1)
	if len(blocks) != 2 {
		return breakGlass{}, fmt.Errorf("%s, %s: %d blocks of commands, want 2", breakGlassPage, heading, len(blocks))
	}
	return breakGlass{do: blocks[0][1], back: blocks[1][1]}, nil
}

// runBreakGlass runs check between the commands of a heading and its way back, which is gone in any case.
func (e *Environment) runBreakGlass(ctx context.Context, heading string, check, afterwards func(context.Context) ([]string, error)) ([]string, error) {
	page, err := os.ReadFile(e.repoFile(breakGlassPage))
	if err != nil {
		return nil, err
	}
	commands, err := findBreakGlass(string(page), heading)
	if err != nil {
		return nil, err
	}
	problems, err := []string(nil), e.runShell(ctx, commands.do)
	if err == nil {
		problems, err = check(ctx)
	}
	if back := e.runShell(context.WithoutCancel(ctx), commands.back); back != nil {
		return problems, back
	}
	if err != nil {
		return problems, err
	}
	more, err := afterwards(ctx)
	return append(problems, more...), err
}

// runShell runs commands in a folder of their own, beside the repository's manifests.
func (e *Environment) runShell(ctx context.Context, commands string) error {
	dir := e.runFile("break-glass")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	link := filepath.Join(dir, "manifests")
	if err := os.Symlink(e.repoFile("manifests"), link); err != nil && !os.IsExist(err) {
		return err
	}
	out, err := e.runTool(ctx, nil, "bash", "-euo", "pipefail", "-c", `cd "$0" && export USER=e2e && eval "$1"`, dir, commands)
	for line := range strings.Lines(string(out)) {
		e.out.printLine("   %s", strings.TrimSpace(line))
	}
	return err
}

// testLiftedPolicies: an override lets a request pass that a policy denies, at each replica, and ends.
func (e *Environment) testLiftedPolicies(ctx context.Context) ([]string, error) {
	if err := e.awaitReasons(ctx, otherTenant, "no_rule"); err != nil {
		return nil, err
	}
	lifted := func(ctx context.Context) ([]string, error) {
		if err := e.awaitReasons(ctx, otherTenant, "overridden"); err != nil {
			return []string{err.Error()}, nil
		}
		return e.checkEachStatus(ctx, func(text string) bool {
			return regexp.MustCompile(`(?m)^  override     ns/shop/sa/orders until \S+, by e2e: INC-7$`).MatchString(text)
		})
	}
	ended := func(ctx context.Context) ([]string, error) {
		if err := e.awaitReasons(ctx, otherTenant, "no_rule"); err != nil {
			return []string{err.Error()}, nil
		}
		return e.checkEachStatus(ctx, func(text string) bool { return !strings.Contains(text, "  override ") })
	}
	return e.runBreakGlass(ctx, liftPolicies, lifted, ended)
}

// checkEachStatus checks the output of `meshpass status` in every replica.
func (e *Environment) checkEachStatus(ctx context.Context, wanted func(string) bool) (problems []string, err error) {
	pods, err := e.listPods(ctx, "meshpass", "app=meshpass")
	for _, p := range pods {
		text, err := e.kubectl(ctx, "exec", "-n", "meshpass", p.Metadata.Name, "-c", "meshpass", "--", "/usr/local/bin/meshpass", "status", "127.0.0.1:9090")
		if err != nil {
			return problems, err
		}
		if !wanted("\n" + text + "\n") {
			problems = append(problems, p.Metadata.Name+": "+text)
		}
	}
	return problems, err
}

// testPassWithoutAnswer: without an authorizer, the closed provider denies; with the label, requests with a
// valid token reach the workload, and others do not. With authorizers, requests are decided again.
func (e *Environment) testPassWithoutAnswer(ctx context.Context) (problems []string, err error) {
	if err := e.scaleAuthorizers(ctx, 0); err != nil {
		return nil, err
	}
	defer func() {
		back := e.scaleAuthorizers(context.WithoutCancel(ctx), 2)
		if err == nil {
			err = back
		}
	}()
	if err := e.awaitReached(ctx, order, false); err != nil {
		return []string{"closed: " + err.Error()}, nil
	}
	passes := func(ctx context.Context) ([]string, error) {
		if err := e.awaitRollouts(ctx, "shop"); err != nil {
			return nil, err
		}
		var problems []string
		if err := e.awaitReached(ctx, order, true); err != nil {
			problems = append(problems, "open: "+err.Error())
		}
		if err := e.awaitReached(ctx, tokenless, false); err != nil {
			problems = append(problems, "open, without a token: "+err.Error())
		}
		open, err := e.kubectl(ctx, "get", "pods", "-A", "-l", "meshpass.dev/guarded=open", "-o", "name")
		if !strings.Contains(open, "pod/orders-") {
			problems = append(problems, "pods with the label open: "+open)
		}
		return problems, err
	}
	return e.runBreakGlass(ctx, letPass, passes, func(ctx context.Context) ([]string, error) {
		if err := e.awaitRollouts(ctx, "shop"); err != nil {
			return nil, err
		}
		if err := e.awaitReached(ctx, order, false); err != nil {
			return []string{"closed again: " + err.Error()}, nil
		}
		if err := e.scaleAuthorizers(ctx, 2); err != nil {
			return nil, err
		}
		return e.checkGuarded(ctx)
	})
}

// testTakenOut: without the policy and the label, every request passes and leaves no record. Then requests are
// decided again.
func (e *Environment) testTakenOut(ctx context.Context) ([]string, error) {
	if problems, err := e.checkGuarded(ctx); err != nil || len(problems) > 0 {
		return problems, err
	}
	passes := func(ctx context.Context) ([]string, error) {
		if err := e.awaitRollouts(ctx, "shop"); err != nil {
			return nil, err
		}
		if err := e.awaitReached(ctx, tokenless, true); err != nil {
			return []string{err.Error()}, nil
		}
		policies, err := e.kubectl(ctx, "get", "authorizationpolicy", "-n", "istio-system", "-o", "name")
		if slices.Contains(strings.Fields(policies), "authorizationpolicy.security.istio.io/meshpass") {
			return []string{"the policy is still there"}, err
		}
		return nil, err
	}
	return e.runBreakGlass(ctx, takeOut, passes, func(ctx context.Context) ([]string, error) {
		if err := e.awaitRollouts(ctx, "shop"); err != nil {
			return nil, err
		}
		return e.checkGuarded(ctx)
	})
}

// checkGuarded wants a request with a token to be allowed, and one without to reach no workload.
func (e *Environment) checkGuarded(ctx context.Context) ([]string, error) {
	if err := e.awaitReached(ctx, tokenless, false); err != nil {
		return []string{"guarded: " + err.Error()}, nil
	}
	if err := e.awaitDecisions(ctx, "rule_allowed"); err != nil {
		return []string{"guarded: " + err.Error()}, nil
	}
	return nil, nil
}

func (e *Environment) scaleAuthorizers(ctx context.Context, replicas int) error {
	if _, err := e.kubectl(ctx, "scale", "deployment", "meshpass", "-n", "meshpass", fmt.Sprintf("--replicas=%d", replicas)); err != nil {
		return err
	}
	if err := e.awaitRollouts(ctx, "meshpass"); err != nil {
		return err
	}
	return e.waitFor(ctx, "the authorizers that leave", podsBound, func(ctx context.Context) (string, error) {
		left, err := e.kubectl(ctx, "get", "pods", "-n", "meshpass", "-l", "app=meshpass", "-o", "name")
		if names := strings.Fields(left); err == nil && len(names) != replicas {
			return left, nil
		}
		return "", err
	})
}

// awaitReached sends a request until it reaches orders, or until it does not.
func (e *Environment) awaitReached(ctx context.Context, send scenarios.Send, wanted bool) error {
	what := map[bool]string{true: "a request to reach orders", false: "a request not to reach orders"}[wanted]
	return e.waitFor(ctx, what, time.Minute, func(ctx context.Context) (string, error) {
		id := fmt.Sprintf("break-glass.%d", time.Now().UnixNano())
		answer, err := e.Send(ctx, scenarios.Request{ID: id, Send: send})
		if err != nil {
			return "", err
		}
		hits, err := e.ReadHits(ctx, id)
		if err == nil && slices.Contains(hits, "orders") != wanted {
			return fmt.Sprintf("answered %d, reached %v", answer.Status, hits), nil
		}
		return "", err
	})
}
