package kind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

const (
	lintPage    = "docs/lint.md"
	lintAccount = "meshpass-lint"
)

// brokenDefinition is a ConfigMap with a definition that has one fault.
const brokenDefinition = `apiVersion: v1
kind: ConfigMap
metadata: {name: lint-fault, namespace: default}
data:
  broken.json: |
    {"api_id": "lint-fault", "use_keyless": true, "proxy": {"listen_path": "/lint-fault/{open/", "target_url": "https://weather.example/"}}
`

// playLint runs `meshpass lint --context` with accounts that have the rights of docs/lint.md, and none. It needs a cluster and nothing in it.
func (e *Environment) playLint(ctx context.Context) error {
	var t tally
	tests := []test{
		{"lint/rights", "With the role of docs/lint.md every kind is read, and no Secret", e.testLintRights},
		{"lint/fault", "A definition in a ConfigMap is found at its place", e.testLintFault},
		{"lint/no-rights", "Without rights every kind is named", e.testLintWithoutRights},
		{"lint/unreachable", "An API server that does not answer is an error", e.testLintUnreachable},
	}
	if err := e.playTests(ctx, &t, tests); err != nil {
		return err
	}
	return e.finishStep(t)
}

// lintReport is a part of the output of `meshpass lint -o json`.
type lintReport struct {
	code      int
	stderr    string
	Objects   int
	Findings  []struct{ Code, Object, Key string }
	Unchecked []struct{ Object, Reason string }
}

// runLint runs the command as an account.
func (e *Environment) runLint(ctx context.Context, kubeconfig string, args ...string) (lintReport, error) {
	ran, err := e.runMeshpassAs(ctx, kubeconfig, "lint", args...)
	r := lintReport{code: ran.code, stderr: ran.stderr}
	if err == nil && ran.stdout != "" {
		err = ran.decode(&r)
	}
	return r, err
}

// makeLintAccount makes an account, with the role of docs/lint.md if it is bound, and a kubeconfig for it.
func (e *Environment) makeLintAccount(ctx context.Context, name string, bound bool) (kubeconfig string, err error) {
	page, err := os.ReadFile(e.repoFile(lintPage))
	if err != nil {
		return "", err
	}
	_, after, found := strings.Cut(string(page), "```yaml\napiVersion: rbac")
	role, _, ends := strings.Cut(after, "```")
	if !found || !ends {
		return "", fmt.Errorf("%s has no role", lintPage)
	}
	if err := e.applyManifests(ctx, []byte("apiVersion: rbac"+role)); err != nil {
		return "", err
	}
	if err := e.applyCreated(ctx, "create", "serviceaccount", name, "-n", "default"); err != nil {
		return "", err
	}
	if bound {
		if err := e.applyCreated(ctx, "create", "clusterrolebinding", name, "--clusterrole="+lintAccount, "--serviceaccount=default:"+name); err != nil {
			return "", err
		}
	}
	return e.writeKubeconfig(ctx, "default", name)
}

func (e *Environment) testLintRights(ctx context.Context) ([]string, error) {
	kubeconfig, err := e.makeLintAccount(ctx, lintAccount, true)
	if err != nil {
		return nil, err
	}
	if _, err := e.kubectl(ctx, "auth", "can-i", "list", "secrets", "-A", "-q", "--as=system:serviceaccount:default:"+lintAccount); err == nil {
		return []string{"the role of " + lintPage + " permits Secrets"}, nil
	}
	var problems []string
	r, err := e.runLint(ctx, kubeconfig)
	if err != nil {
		return nil, err
	}
	if r.code == 2 || len(r.Unchecked) > 0 || r.Objects == 0 {
		problems = append(problems, fmt.Sprintf("exit code %d, %d objects, not checked: %+v\n%s", r.code, r.Objects, r.Unchecked, r.stderr))
	}
	senders := 0
	for _, f := range r.Findings {
		if f.Code == "document_unguarded" && f.Object == "ConfigMap meshpass/meshpass-policies" {
			senders++ // a sender of the rig has the account of a guarded workload, without its label
			continue
		}
		problems = append(problems, fmt.Sprintf("%s: %s", f.Code, f.Object))
	}
	if senders != 3 {
		problems = append(problems, fmt.Sprintf("%d findings about the rig's three senders", senders))
	}
	r, err = e.runLint(ctx, kubeconfig, "--include-secrets")
	if err == nil && (r.code != 2 || len(r.Unchecked) != 1 || r.Unchecked[0].Object != "Secret" || r.Unchecked[0].Reason != "no right to list secrets: Forbidden") {
		problems = append(problems, fmt.Sprintf("--include-secrets: exit code %d, not checked: %+v", r.code, r.Unchecked))
	}
	return problems, err
}

func (e *Environment) testLintFault(ctx context.Context) ([]string, error) {
	kubeconfig, err := e.makeLintAccount(ctx, lintAccount, true)
	if err != nil {
		return nil, err
	}
	if err := e.applyManifests(ctx, []byte(brokenDefinition)); err != nil {
		return nil, err
	}
	r, err := e.runLint(ctx, kubeconfig)
	_, deleted := e.kubectl(ctx, "delete", "configmap", "lint-fault", "-n", "default")
	if err = errors.Join(err, deleted); err != nil {
		return nil, err
	}
	for _, f := range r.Findings {
		if f.Code == "tyk_listen_path_invalid" && f.Object == "ConfigMap default/lint-fault" && f.Key == "broken.json" && r.code == 1 {
			return nil, nil
		}
	}
	return []string{fmt.Sprintf("exit code %d, findings %+v", r.code, r.Findings)}, nil
}

func (e *Environment) testLintWithoutRights(ctx context.Context) ([]string, error) {
	kubeconfig, err := e.makeLintAccount(ctx, lintAccount+"-nothing", false)
	if err != nil {
		return nil, err
	}
	r, err := e.runLint(ctx, kubeconfig)
	if err != nil {
		return nil, err
	}
	named := map[string]bool{}
	for _, u := range r.Unchecked {
		named[u.Object] = strings.HasSuffix(u.Reason, ": Forbidden")
	}
	for _, kind := range []string{"Namespace", "Service", "ConfigMap", "Pod", "Deployment", "AuthorizationPolicy", "HTTPRoute", "ApiDefinition"} {
		if !named[kind] {
			return []string{fmt.Sprintf("%s is not named: exit code %d, %+v", kind, r.code, r.Unchecked)}, nil
		}
	}
	if r.code != 2 || named["Secret"] {
		return []string{fmt.Sprintf("exit code %d, Secret asked: %t", r.code, named["Secret"])}, nil
	}
	return nil, nil
}

func (e *Environment) testLintUnreachable(ctx context.Context) ([]string, error) {
	file := e.runFile("unreachable.kubeconfig")
	const text = "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: \"https://127.0.0.1:1\"}}]\ncontexts: [{name: c, context: {cluster: c}}]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	r, err := e.runLint(ctx, file)
	if err == nil && (r.code != 2 || !strings.Contains(r.stderr, "connection refused")) {
		return []string{fmt.Sprintf("exit code %d: %s", r.code, r.stderr)}, nil
	}
	return nil, err
}
