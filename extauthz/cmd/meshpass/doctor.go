package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/doctor"
	"github.com/meshpass/meshpass/extauthz/internal/doctor/incluster"
	"github.com/meshpass/meshpass/extauthz/internal/kubeclient"
)

// doctorInput is what doctor checks: addresses, or a cluster.
type doctorInput struct {
	gateways, hellos, metrics, authorizers, envoys, openEnvoys, istiods []string

	canaryPath string
	settings   incluster.Settings
	connection kubeclient.Config
	inCluster  bool
}

func newDoctor() *cobra.Command {
	input := doctorInput{canaryPath: "/meshpass-canary/", settings: incluster.DefaultSettings()}
	o := doctor.Options{Timeout: 5 * time.Second, MaxSkew: 2 * time.Second, ProgressEvery: 2 * time.Second}
	cmd := &cobra.Command{
		Use: "doctor --context NAME | --gateway URL --authorizer ADDRESS ... [flags]", Short: "Check a running installation, and print what to do next", Args: noArgs,
		Long: `Asks the parts of a running installation about themselves, and prints one line for each
check, with what to do next: the gateway and its plugin, the canary, the authorizers and
their generations, whether every authorizer knows the keys with which gateways sign,
clocks, the filters of guarded workloads as istiod pushed them, and whether their Envoys
reach the authorizer. It only reads, and reads no Secret.

With --context the parts are found in a cluster and reached by port-forward; without it,
give their addresses. docs/doctor.md describes the checks and the rights that they need.

Exit codes: 0 nothing is wrong; 1 something is wrong; 2 something could not be checked. It
is named, with the reason; --skip leaves a check out on purpose.`,
		Example: `  meshpass doctor --context production
  meshpass doctor --gateway http://10.1.0.4:8080 --plugin-metrics 10.1.0.4:9092 --authorizer 10.1.0.7:9090 \
    --authorizer 10.1.0.8:9090 --envoy http://127.0.0.1:15000 --istiod http://127.0.0.1:8080`,
	}
	addFunc(cmd, "context", "NAME", "", "find the parts in a cluster, by a context of the kubeconfig; \"\" is the current one", func(text string) error {
		input.connection.Context, input.inCluster = text, true
		return nil
	})
	addText(cmd, &input.connection.Kubeconfig, "kubeconfig", "FILE", "the kubeconfig for --context")
	addText(cmd, &input.settings.Namespace, "namespace", "NAME", "the namespace of the authorizer")
	addFunc(cmd, "metrics-port", "PORT", "", "the port of the plugin's metrics, for --context; without it, metrics in a ConfigMap with the plugin's file", func(text string) error {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return errors.New("want a port")
		}
		input.settings.MetricsPort = int(port)
		return nil
	})
	addText(cmd, &input.settings.Selector, "selector", "LABELS", "the labels of the authorizer's pods, for --context")
	addText(cmd, &input.settings.IstioNamespace, "istio-namespace", "NAME", "the namespace of istiod, for --context")
	addList(cmd, &input.gateways, "gateway", "URL", "a gateway, at the port of its clients")
	addList(cmd, &input.hellos, "hello", "URL", "/hello of that gateway, if its control API has a port of its own; in the order of --gateway")
	addText(cmd, &input.canaryPath, "canary-path", "PATH", "the path of the canary")
	addList(cmd, &input.metrics, "plugin-metrics", "ADDRESS", "the plugin's metrics, in the order of --gateway")
	addList(cmd, &input.authorizers, "authorizer", "ADDRESS", "a replica of the authorizer (ops of its configuration)")
	addList(cmd, &input.envoys, "envoy", "URL", "the admin interface of a guarded workload's Envoy")
	addList(cmd, &input.openEnvoys, "open-envoy", "URL", "the same, of a workload with the open provider")
	addList(cmd, &input.istiods, "istiod", "URL", "the debug interface of istiod")
	addText(cmd, &o.Provider.Service, "provider-service", "HOST", "the authorizer's Service in Istio's providers; without it, any in its namespace")
	addDuration(cmd, &o.Timeout, "timeout", "how long to wait for one answer")
	addDuration(cmd, &o.MaxSkew, "max-skew", "by how much clocks may differ")
	addFunc(cmd, "skip", "CHECK", "", "leave out one of "+strings.Join(doctor.Checks, ", ")+"; may be given several times", func(text string) error {
		if !slices.Contains(doctor.Checks, text) {
			return fmt.Errorf("want %s", joinChoices(doctor.Checks))
		}
		o.Skip = append(o.Skip, text)
		return nil
	})
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := input.validate(cmd, o); err != nil {
			return err
		}
		installation, err := input.find(cmd, o)
		if err != nil {
			return err
		}
		o.Progress = func(answered, asked int) {
			fmt.Fprintf(cmd.ErrOrStderr(), "meshpass: %d of %d parts have answered\n", answered, asked)
		}
		o.Provider.Namespace = input.settings.Namespace
		report := doctor.Run(cmd.Context(), installation, o)
		if err := printAnswer(cmd, report, *format); err != nil {
			return err
		}
		return exitFor(report.Count(doctor.Wrong) == 0, report.Count(doctor.NotChecked), "checks could not be done")
	}
	return cmd
}

func (i doctorInput) addresses() int {
	return len(i.gateways) + len(i.authorizers) + len(i.envoys) + len(i.openEnvoys) + len(i.istiods)
}

func (i doctorInput) validate(cmd *cobra.Command, o doctor.Options) error {
	switch {
	case !i.inCluster && i.addresses() == 0:
		return newUsageError(cmd, "doctor needs --context NAME, or addresses: --gateway URL, --authorizer ADDRESS, --envoy URL, --istiod URL")
	case i.inCluster && i.addresses() > 0:
		return newUsageError(cmd, "--context finds the parts: give it, or addresses")
	case !i.inCluster && i.connection.Kubeconfig != "":
		return newUsageError(cmd, "--kubeconfig needs --context")
	case len(i.hellos) > len(i.gateways) || len(i.metrics) > len(i.gateways):
		return newUsageError(cmd, "--hello and --plugin-metrics belong to a --gateway each, in the same order")
	case o.Timeout <= 0 || o.MaxSkew <= 0:
		return newUsageError(cmd, "--timeout and --max-skew must be more than 0s")
	case !strings.HasPrefix(i.canaryPath, "/"):
		return newUsageError(cmd, "--canary-path must begin with /")
	}
	return nil
}

// find makes the addresses, or finds the parts in the cluster.
func (i doctorInput) find(cmd *cobra.Command, o doctor.Options) (doctor.Installation, error) {
	if i.inCluster {
		i.settings.CanaryPath, i.settings.Timeout = i.canaryPath, o.Timeout
		return incluster.Find(cmd.Context(), i.connection, i.settings)
	}
	var installation doctor.Installation
	var faults []error
	parse := func(flag, text string) doctor.Address {
		at, err := parseOpsAddress(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("--%s: %.64q is not an address: write a URL such as http://127.0.0.1:9090, or HOST:PORT", flag, text))
		}
		return doctor.Address{URL: at}
	}
	for n, text := range i.gateways {
		at := parse("gateway", text)
		g := doctor.Gateway{Name: at.URL, Hello: doctor.Address{URL: at.URL + "/hello"}, Canary: doctor.Address{URL: at.URL + i.canaryPath}}
		if n < len(i.hellos) {
			g.Hello = parse("hello", i.hellos[n])
			if u, err := url.Parse(g.Hello.URL); err == nil && u.Path == "" {
				g.Hello.URL += "/hello"
			}
		}
		g.NoMetrics = doctor.Missing{Detail: "no address of the plugin's metrics", Do: "give --plugin-metrics ADDRESS, which is metrics in the plugin's file"}
		if n < len(i.metrics) {
			g.Metrics = parse("plugin-metrics", i.metrics[n])
		}
		installation.Gateways = append(installation.Gateways, g)
	}
	for _, text := range i.authorizers {
		installation.Authorizers = append(installation.Authorizers, parse("authorizer", text))
	}
	for _, text := range i.envoys {
		installation.Envoys = append(installation.Envoys, doctor.Envoy{Admin: parse("envoy", text)})
	}
	for _, text := range i.openEnvoys {
		installation.Envoys = append(installation.Envoys, doctor.Envoy{Admin: parse("open-envoy", text), Open: true})
	}
	for _, text := range i.istiods {
		installation.Istiods = append(installation.Istiods, parse("istiod", text))
	}
	if len(faults) > 0 {
		return doctor.Installation{}, newUsageError(cmd, "%s", errors.Join(faults...))
	}
	return installation, nil
}
