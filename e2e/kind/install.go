package kind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/e2e/scenarios"
	"github.com/meshpass/meshpass/internal/pagetest"
)

const (
	installPage    = "docs/install.md"
	onboardingPage = "docs/onboarding.md"
	maxCommands    = 10 // that lead from the existing cluster to the enforced policy

	pageBound = 3 * time.Minute // how long a command of a page may take to print what the page shows
)

// Sections of docs/install.md with steps.
var (
	installSections = []string{"The files", "The ten commands", "See that it works", "Upgrade"}
	allSections     = append(slices.Clone(installSections), "Uninstall")
)

// installRun takes the steps of docs/install.md and docs/onboarding.md in a folder.
type installRun struct {
	*Environment
	reader   pagetest.Reader
	sections map[string][]pagetest.Step // of docs/install.md
}

// playInstall starts from a cluster with Istio, Tyk and the demo's workloads, without anything of Meshpass, and takes the steps of
// docs/install.md and docs/onboarding.md. Istio by istioctl and Tyk by manifests stand in for installations by Helm. At the end the
// cluster is as the step istio leaves it.
func (e *Environment) playInstall(ctx context.Context) error {
	r := &installRun{Environment: e}
	tests := []test{
		{"install/page", "The commands of docs/install.md lead to an enforced policy, and an upgrade keeps it", r.testInstall},
		{"install/onboarding", "The commands of docs/onboarding.md deny no request before their step", r.testOnboarding},
		{"install/uninstall", "The commands of docs/install.md name the guarded workload, and then remove everything", r.testUninstall},
	}
	var t tally
	if err := e.playTests(ctx, &t, tests); err != nil {
		return err
	}
	if t.passed+t.failed > 0 {
		if err := e.runIstioctlInstall(ctx); err != nil {
			return err
		}
	}
	return e.finishStep(t)
}

// testInstall takes the steps of docs/install.md up to its last but one section.
func (r *installRun) testInstall(ctx context.Context) ([]string, error) {
	helm, err := findHelm()
	if err != nil {
		return nil, err
	}
	meshpass, err := repo.Bin("meshpass", "bin/meshpass")
	if err != nil {
		return nil, err
	}
	if r.sections, err = readInstallPage(r.repoFile(installPage)); err != nil {
		return nil, err
	}
	r.reader = pagetest.Reader{Dir: r.runFile("install"), Patience: pageBound, Env: []string{
		"KUBECONFIG=" + r.runFile("kubeconfig"), "PATH=" + strings.Join([]string{filepath.Dir(helm), filepath.Dir(meshpass), os.Getenv("PATH")}, ":")}}
	if err := r.deployWithoutMeshpass(ctx, r.reader.Dir); err != nil {
		return nil, err
	}
	if problems, err := r.checkAnswers(ctx, "before", 200, 200); err != nil || len(problems) > 0 {
		return problems, err
	}
	for _, section := range installSections {
		if err := r.takeSteps(ctx, installPage, r.sections[section]); err != nil {
			return []string{err.Error()}, nil
		}
		if section != "The files" && section != "The ten commands" {
			if problems, err := r.checkAnswers(ctx, section, 200, 403); err != nil || len(problems) > 0 {
				return problems, err
			}
		}
	}
	return nil, nil
}

// takeSteps prints and takes steps of a page.
func (r *installRun) takeSteps(ctx context.Context, page string, steps []pagetest.Step) error {
	for _, step := range steps {
		if step.Command != "" {
			first, _, _ := strings.Cut(step.Command, "\n")
			r.out.printLine("   %s:%d: %s", page, step.Line, first)
		}
		if err := r.reader.TakeSteps(ctx, []pagetest.Step{step}); err != nil {
			return fmt.Errorf("%s, %w", page, err)
		}
	}
	return nil
}

// The status of alice's request for another tenant's order after each command of docs/onboarding.md that changes the cluster.
var onboardingAnswers = []int{
	200,      // 1: unguarded workloads are allowed
	200,      // 2: Envoy asks
	200,      // 3: a document in shadow
	200,      // 4: mutual TLS alone
	200, 403, // 5: the label of the closed provider; the document is enforced
	200, 403, // an override, and its end
	403, // 6: unguarded workloads are denied
}

// changesCluster selects the commands of docs/onboarding.md after which requests are sent.
var changesCluster = regexp.MustCompile(`^(helm upgrade|kubectl -n shop rollout status|kubectl apply -f -|kubectl -n meshpass create configmap)`)

// testOnboarding takes the numbered steps of docs/onboarding.md, from an installation whose only document is of another workload.
func (r *installRun) testOnboarding(ctx context.Context) ([]string, error) {
	if r.sections == nil {
		return nil, fmt.Errorf("%w: it needs install/page", errNotRun)
	}
	steps, err := readOnboardingPage(r.repoFile(onboardingPage))
	if err != nil {
		return nil, err
	}
	if err := r.startOnboarding(ctx); err != nil {
		return nil, err
	}
	changes := 0
	for _, step := range steps {
		if err := r.takeSteps(ctx, onboardingPage, []pagetest.Step{step}); err != nil {
			return []string{err.Error()}, nil
		}
		if !changesCluster.MatchString(step.Command) && !strings.Contains(step.Command, "meshpass status") {
			continue
		}
		if changesCluster.MatchString(step.Command) {
			changes++
		}
		if problems, err := r.checkAnswers(ctx, fmt.Sprintf("%s:%d", onboardingPage, step.Line), 200, onboardingAnswers[changes-1]); err != nil || len(problems) > 0 {
			return problems, err
		}
	}
	return r.checkShadowRecords()
}

// readOnboardingPage returns the steps of docs/onboarding.md. The error names a page whose changes onboardingAnswers does not describe.
func readOnboardingPage(page string) ([]pagetest.Step, error) {
	steps, err := pagetest.ReadSteps(page)
	if err != nil {
		return nil, err
	}
	changes := 0
	for _, step := range steps {
		if changesCluster.MatchString(step.Command) {
			changes++
		}
	}
	if changes != len(onboardingAnswers) {
		return nil, fmt.Errorf("%s changes the cluster by %d commands, want %d", page, changes, len(onboardingAnswers))
	}
	return steps, nil
}

// startOnboarding takes back the label and the document, and gives the sidecars the access log that the page reads.
func (r *installRun) startOnboarding(ctx context.Context) error {
	if err := r.runIstioctlInstall(ctx); err != nil {
		return err
	}
	document, err := os.ReadFile(r.repoFile("manifests", "policies", "reports.yaml"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(r.reader.Dir, "reports.yaml"), document, 0o644); err != nil {
		return err
	}
	for _, command := range []string{
		`kubectl -n shop patch deployment orders -p '{"spec":{"template":{"metadata":{"labels":{"meshpass.dev/guarded":null}}}}}'`,
		`kubectl -n shop rollout status deployment/orders --timeout=5m`,
		`helm upgrade meshpass charts/meshpass -n meshpass -f meshpass.yaml --set-file 'policies.documents.reports\.yaml=reports.yaml' --wait`,
	} {
		if err := r.reader.TakeStep(ctx, pagetest.Step{Command: command}); err != nil {
			return err
		}
	}
	return nil
}

// checkShadowRecords checks that the records which the page has read hold what the document in shadow would have denied.
func (r *installRun) checkShadowRecords() ([]string, error) {
	records, err := os.ReadFile(filepath.Join(r.reader.Dir, "recorded.jsonl"))
	if err != nil {
		return nil, err
	}
	if !strings.Contains(string(records), `"shadow":["deny unguarded","deny no_rule"]`) {
		return []string{"recorded.jsonl holds no request that the document in shadow would have denied"}, nil
	}
	return nil, nil
}

// testUninstall takes the steps of the last section of docs/install.md.
func (r *installRun) testUninstall(ctx context.Context) ([]string, error) {
	if r.sections == nil {
		return nil, fmt.Errorf("%w: it needs install/page", errNotRun)
	}
	if err := r.takeSteps(ctx, installPage, r.sections["Uninstall"]); err != nil {
		return []string{err.Error()}, nil
	}
	if _, err := r.kubectl(ctx, "delete", "--ignore-not-found", "peerauthentication", "-n", "shop", "default"); err != nil { // of onboarding
		return nil, err
	}
	return r.checkAnswers(ctx, "uninstalled", 200, 200)
}

// findHelm returns the path of helm, in bin/ or on PATH.
func findHelm() (string, error) {
	bin, err := repo.BinDir()
	if err != nil {
		return "", err
	}
	for _, dir := range append([]string{bin}, filepath.SplitList(os.Getenv("PATH"))...) {
		file := filepath.Join(dir, "helm")
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", fmt.Errorf("%w: helm is neither in bin/ nor on PATH", errNotRun)
}

// readInstallPage returns the steps of each section. The error names a page that has other sections or too many commands.
func readInstallPage(page string) (map[string][]pagetest.Step, error) {
	steps, err := pagetest.ReadSteps(page)
	if err != nil {
		return nil, err
	}
	sections := map[string][]pagetest.Step{}
	for _, step := range steps {
		sections[step.Section] = append(sections[step.Section], step)
	}
	for _, name := range allSections {
		if len(sections[name]) == 0 {
			return nil, fmt.Errorf("%s has no steps in a section %q", page, name)
		}
	}
	if len(sections) != len(allSections) {
		return nil, fmt.Errorf("%s has steps in %d sections, want %d", page, len(sections), len(allSections))
	}
	if n := len(sections["The ten commands"]); n > maxCommands {
		return nil, fmt.Errorf("%s needs %d commands, want at most %d", page, n, maxCommands)
	}
	return sections, nil
}

// deployWithoutMeshpass makes a cluster as the page expects it: Istio without our providers, workloads without our label, Tyk
// without the plugin. In dir are the folders that the page's commands name.
func (e *Environment) deployWithoutMeshpass(ctx context.Context, dir string) error {
	if err := e.prepareInstallDir(dir); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{e.installPlainIstio, e.createNamespaces, e.createSecrets, e.removeMeshpass, e.applyUnguardedDemo} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	if err := e.applyPlainTyk(ctx, dir); err != nil {
		return err
	}
	if err := e.awaitRollouts(ctx, "idp", "outside", "edge", "shop"); err != nil {
		return err
	}
	return e.awaitGateways(ctx)
}

// prepareInstallDir makes the folder of the commands: links to the folders of the repository, and the API definitions of Tyk without
// our hooks, as files and as a copy.
func (e *Environment) prepareInstallDir(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	names, err := filepath.Glob(e.repoFile("manifests", "tyk", "apis", "*.json"))
	if err != nil {
		return err
	}
	for _, folder := range []string{"apis", "apis-before"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			return err
		}
		for _, name := range names {
			if filepath.Base(name) == "canary.json" {
				continue
			}
			plain, err := removeHooks(name)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, folder, filepath.Base(name)), plain, 0o644)
			}
			if err != nil {
				return err
			}
		}
	}
	return errors.Join(os.Symlink(e.repoFile("charts"), filepath.Join(dir, "charts")), os.Symlink(e.repoFile("manifests"), filepath.Join(dir, "manifests")))
}

// removeHooks returns an API definition without plugins.
func removeHooks(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var definition map[string]any
	if err := json.Unmarshal(text, &definition); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	delete(definition, "custom_middleware")
	return json.MarshalIndent(definition, "", "  ")
}

// removeMeshpass removes what an earlier run, or createNamespaces and createSecrets, have made of Meshpass.
func (e *Environment) removeMeshpass(ctx context.Context) error {
	helm, err := findHelm()
	if err != nil {
		return err
	}
	if _, err := e.runTool(ctx, nil, helm, "uninstall", "-n", "meshpass", "--ignore-not-found", "--no-hooks", "meshpass-istio", "meshpass"); err != nil {
		return err
	}
	for _, remove := range [][]string{
		{"-k", e.repoFile("manifests", "istio")},
		{"-k", e.repoFile("manifests", "istio", "strict")},
		{"namespace", "meshpass"},
		{"secret", "-n", "edge", "meshpass-signing-keys", "meshpass-hmac", "meshpass-plugin"},
		{"deployment", "-n", "edge", "tyk-gateway"},
		{"configmap", "-n", "edge", "tyk-apis"},
	} {
		if _, err := e.kubectl(ctx, append([]string{"delete", "--ignore-not-found", "--wait"}, remove...)...); err != nil {
			return err
		}
	}
	return nil
}

// installPlainIstio installs Istio without our providers.
func (e *Environment) installPlainIstio(ctx context.Context) error {
	return e.installPlainIstioWith(ctx)
}

// installPlainIstioWith is [Environment.installPlainIstio] with more arguments of istioctl.
func (e *Environment) installPlainIstioWith(ctx context.Context, more ...string) error {
	args := slices.Concat([]string{"install", "-y"}, smallIstio, more)
	if e.IstioValues != "" {
		args = append(args, "-f", e.IstioValues)
	}
	return e.runSlowTool(ctx, nil, "istioctl", args...)
}

// applyUnguardedDemo applies the demo's workloads without our label.
func (e *Environment) applyUnguardedDemo(ctx context.Context) error {
	return e.applyDemoWith(ctx, func(text string) string { return strings.ReplaceAll(text, `, meshpass.dev/guarded: "true"`, "") })
}

var generatedAPIs = regexp.MustCompile(`tyk-apis-[a-z0-9]{10}`)

// applyPlainTyk applies manifests/tyk without the plugin, with the API definitions in dir.
func (e *Environment) applyPlainTyk(ctx context.Context, dir string) error {
	text, err := e.kubectl(ctx, "kustomize", e.repoFile("e2e", "kind", "install"))
	if err != nil {
		return err
	}
	if err := e.applyManifests(ctx, []byte(generatedAPIs.ReplaceAllString(text, "tyk-apis"))); err != nil {
		return err
	}
	return e.applyCreated(ctx, "create", "configmap", "tyk-apis", "-n", "edge", "--from-file="+filepath.Join(dir, "apis"))
}

// checkAnswers sends alice's request for an order of her tenant and of another one, until they have these statuses: a sidecar gets a
// changed policy some time after its pod is ready.
func (e *Environment) checkAnswers(ctx context.Context, when string, own, other int) ([]string, error) {
	var problems []string
	for path, want := range map[string]int{"/jwt/tenants/acme/orders/1001": own, "/jwt/tenants/globex/orders/1001": other} {
		clear(e.credentials)
		err := e.waitFor(ctx, fmt.Sprintf("%d for %s", want, path), pageBound, func(ctx context.Context) (string, error) {
			answer, err := e.Send(ctx, scenarios.Request{ID: "install", Send: scenarios.Send{To: "gateway", As: "alice", Method: "GET", Path: path}})
			if err != nil || answer.Status == want {
				return "", err
			}
			return fmt.Sprintf("status %d: %s", answer.Status, answer.Body), nil
		})
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", when, err))
		}
	}
	return problems, nil
}
