package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/guarded"
	"github.com/meshpass/meshpass/extauthz/internal/kubeclient"
)

// servicePort is a port of a Service.
type servicePort struct {
	name guarded.ObjectName
	port int64
}

func newIstioGuarded() *cobra.Command {
	question := guarded.Question{RootNamespace: "istio-system"}
	var cluster kubeclient.Config
	var kept *servicePort
	cmd := &cobra.Command{
		Use: "guarded [flags]", Short: "List the workloads that rely on Meshpass, before it is removed", Args: noArgs,
		Long: `Lists the workloads of a cluster that rely on the authorizer: their pods have the label
meshpass.dev/guarded, with any value but observe. With --policy, those that rely on these
AuthorizationPolicies. Without the authorizer, a closed provider denies their requests with
503, and an open one allows them without a decision. Without the policy, every request to
them is allowed. It only reads: pods, and what the flags name. The charts run it before an
uninstall.

Exit codes: 0 none; 1 there are some; 2 it could not be done.`,
		Example: `  meshpass istio guarded
  meshpass istio guarded --policy istio-system/meshpass`,
	}
	addFunc(cmd, "policy", "NAMESPACE/NAME", "", "an AuthorizationPolicy that is to be removed; may be given several times", func(text string) error {
		name, err := guarded.ParseObjectName(text)
		question.Policies = append(question.Policies, name)
		return err
	})
	addText(cmd, &question.RootNamespace, "root-namespace", "NAMESPACE", "Istio's root namespace, where a policy selects pods of all namespaces")
	addFunc(cmd, "unless-service", "NAMESPACE/NAME:PORT", "", "list nothing if this Service has this port: an upgrade keeps it", func(text string) (err error) {
		kept, err = parseServicePort(text)
		return err
	})
	addKubeconfig(cmd, &cluster)
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := kubeclient.New(cluster)
		if err != nil {
			return err
		}
		report := guarded.Report{Workloads: []guarded.Workload{}}
		isKept := false
		if kept != nil {
			if isKept, err = guarded.HasPort(cmd.Context(), client, kept.name, kept.port); err != nil {
				return err
			}
		}
		if !isKept {
			if report, err = guarded.Find(cmd.Context(), client, question); err != nil {
				return err
			}
		}
		if err := printReport(cmd, report, report.Print, *format, report.HasNone()); err != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "meshpass: these workloads rely on what is to be removed; first remove the label from their pods")
			return err
		}
		return nil
	}
	return cmd
}

func parseServicePort(text string) (*servicePort, error) {
	before, port, _ := strings.Cut(text, ":")
	name, err := guarded.ParseObjectName(before)
	number, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || number == 0 {
		return nil, fmt.Errorf("want NAMESPACE/NAME:PORT, not %q", text)
	}
	return &servicePort{name, int64(number)}, nil
}
