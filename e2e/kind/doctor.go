package kind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/meshpass/meshpass/e2e/scenarios"
)

const doctorPage = "docs/doctor.md"

// diagnosis is the output of `meshpass doctor -o json`.
type diagnosis struct {
	Checks []struct{ Check, Subject, Result, Detail, Do string }
	code   int
}

// testDoctor: with the rights that docs/doctor.md gives, doctor checks everything; it finds a fault; and without rights it says so.
func (e *Environment) testDoctor(ctx context.Context) ([]string, error) {
	kubeconfig, err := e.grantRights(ctx, doctorPage, "doctor")
	if err != nil {
		return nil, err
	}
	for _, path := range []string{order.Path, "/reports/tenants/acme/report"} { // so that each Envoy has something to ask
		if _, err := e.Send(ctx, scenarios.Request{ID: fmt.Sprintf("doctor.%d", e.since.Unix()), Send: scenarios.Send{To: "gateway", Method: "GET", Path: path, As: "alice"}}); err != nil {
			return nil, err
		}
	}
	healthy, err := e.runDoctor(ctx, kubeconfig)
	if err != nil {
		return nil, err
	}
	var problems []string
	found := map[string]int{}
	for _, c := range healthy.Checks {
		found[c.Check]++
		if c.Result != "ok" {
			problems = append(problems, fmt.Sprintf("%s %s %s: %s", c.Result, c.Check, c.Subject, c.Detail))
		}
	}
	e.out.printLine("   lines: %v", found)
	for check, want := range map[string]int{"gateway": 1, "canary": 1, "plugin": 1, "authorizer": 2, "generation": 2, "keys": 1, "clock": 3, "envoy": 3, "provider": 3, "istiod": 3} {
		if found[check] != want {
			problems = append(problems, fmt.Sprintf("%s: %d lines, want %d", check, found[check], want))
		}
	}
	if healthy.code != 0 {
		problems = append(problems, fmt.Sprintf("exit code %d", healthy.code))
	}
	broken, err := e.diagnoseUnknownProvider(ctx, kubeconfig)
	if err != nil {
		return problems, err
	}
	powerless, err := e.diagnoseWithoutRights(ctx, kubeconfig)
	return append(append(problems, broken...), powerless...), err
}

func (e *Environment) runDoctor(ctx context.Context, kubeconfig string) (d diagnosis, err error) {
	ran, err := e.runMeshpassAs(ctx, kubeconfig, "doctor")
	if err != nil {
		return d, err
	}
	d.code = ran.code
	if err := ran.decode(&d); err != nil {
		return d, fmt.Errorf("meshpass doctor: exit code %d: %w: %s", d.code, err, ran.stderr)
	}
	return d, nil
}

// diagnoseUnknownProvider gives the AuthorizationPolicy a provider that MeshConfig does not have, for a moment.
func (e *Environment) diagnoseUnknownProvider(ctx context.Context, kubeconfig string) ([]string, error) {
	shipped := e.repoFile("manifests", "istio", "authorization-policy.yaml")
	policy, err := os.ReadFile(shipped)
	if err != nil {
		return nil, err
	}
	changed := strings.Replace(string(policy), "provider:\n    name: meshpass\n", "provider:\n    name: meshpas\n", 1)
	if changed == string(policy) {
		return nil, errors.New("the AuthorizationPolicy names no provider meshpass")
	}
	if _, err := e.runTool(ctx, []byte(changed), "kubectl", "apply", "-f", "-"); err != nil {
		return nil, err
	}
	const want = "istiod denies every request, because it cannot use the provider of istio-ext-authz-meshpas-ns[istio-system]-policy[meshpass]-rule[0]"
	err = e.waitFor(ctx, "doctor to find the unknown provider", podsBound, func(ctx context.Context) (string, error) {
		d, err := e.runDoctor(ctx, kubeconfig)
		if err != nil {
			return "", err
		}
		count, others := 0, 0
		for _, c := range d.Checks {
			switch {
			case c.Check == "envoy" && c.Result == "wrong" && c.Detail == want:
				count++
			case c.Result != "ok":
				others++
			}
		}
		if count != 3 || others != 0 || d.code != 1 {
			return fmt.Sprintf("exit code %d, lines with the fault: %d, with others: %d", d.code, count, others), nil
		}
		return "", nil
	})
	_, back := e.kubectl(context.WithoutCancel(ctx), "apply", "-f", shipped)
	if err != nil {
		return []string{err.Error()}, back
	}
	return nil, back
}

// diagnoseWithoutRights takes away the right to reach the pods of shop, and then to list pods.
func (e *Environment) diagnoseWithoutRights(ctx context.Context, kubeconfig string) ([]string, error) {
	var problems []string
	for _, row := range []struct {
		remove []string
		check  string
		want   string
	}{
		{[]string{"-n", "shop", "delete", "rolebinding", "meshpass-doctor-reach"}, "envoy", "not reached by port-forward"},
		{[]string{"delete", "clusterrolebinding", "meshpass-doctor"}, "authorizer", "no right to list the pods of the cluster"},
	} {
		if _, err := e.kubectl(ctx, row.remove...); err != nil {
			return problems, err
		}
		d, err := e.runDoctor(ctx, kubeconfig)
		if err != nil {
			return problems, err
		}
		unchecked := ""
		for _, c := range d.Checks {
			if c.Check == row.check && c.Result == "not_checked" {
				unchecked = c.Detail
			}
		}
		e.out.printLine("   %s: %s", row.check, unchecked)
		if d.code != 2 || !strings.Contains(unchecked, row.want) {
			problems = append(problems, fmt.Sprintf("%s: exit code %d, %q, want 2 and %q", strings.Join(row.remove, " "), d.code, unchecked, row.want))
		}
	}
	return problems, nil
}
