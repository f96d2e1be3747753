package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/rbac"
)

// rbacInput is what the commands of rbac have in common.
type rbacInput struct {
	systemInput
	options rbac.Options
}

func (i *rbacInput) addFlags(cmd *cobra.Command) {
	i.systemInput.addFlags(cmd)
	i.options.Callees = map[string][]string{}
	addFunc(cmd, "callee", "API=WORKLOAD", "", "the workload that gets the requests of an API, such as orders=ns/shop/sa/orders, if the input does not show it; may be given several times", func(text string) error {
		api, workload, found := strings.Cut(text, "=")
		if !found || api == "" || workload == "" {
			return fmt.Errorf("write API=WORKLOAD, such as orders=ns/shop/sa/orders")
		}
		i.options.Callees[api] = append(i.options.Callees[api], workload)
		return nil
	})
	addText(cmd, &i.options.Gateway, "gateway", "WORKLOAD", "the workload of the gateway; default: workload of the plugin's file")
}

// reportProgress prints a line each two seconds.
func (i *rbacInput) reportProgress(cmd *cobra.Command) {
	progress := newProgress(cmd)
	i.options.Progress = func(done, all int) { progress("%d of %d APIs are compared", done, all) }
}

func newRBAC() *cobra.Command {
	var input rbacInput
	var accepted []string
	cmd := &cobra.Command{
		Use: "rbac -f FILE | -k DIR | --context NAME [flags]", Short: "Lay Tyk policies and AccessPolicies side by side", Args: noArgs,
		Long: `Compares what Tyk policies and keys admit with what AccessPolicies allow, role by role, on the
paths that upstreams get, by the listen path and by the alias /{api_id}/. It reads what
"meshpass lint" reads, and needs API definitions, Tyk policies, the plugin's file, documents,
and the Services and workloads behind the APIs (or --callee).

It compares all paths, and prints the shortest example of each difference. What only a request
decides, such as a claim or an expression, is printed as a condition.

Exit codes: 0 no faults; 1 Tyk admits what no hop allows, or a hop allows what no Tyk policy
reaches; 2 something could not be read or compared. It is named, with its place.`,
		Example: `  meshpass rbac -k manifests/overlays/dev -f shop.yaml
  meshpass rbac -f tyk/ -f policies/ --callee orders=ns/shop/sa/orders -o html > rbac.html`,
	}
	cmd.AddCommand(newRBACGenerate())
	input.addFlags(cmd)
	addFunc(cmd, "accept", "KIND", "", "do not count a kind of difference as a fault: "+joinChoices(rbac.FaultKinds())+"; may be given several times", func(text string) error {
		if !slices.Contains(rbac.FaultKinds(), text) {
			return fmt.Errorf("want %s", joinChoices(rbac.FaultKinds()))
		}
		accepted = append(accepted, text)
		return nil
	})
	format := addOutput(cmd, "html", "for one page that needs nothing else")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := input.validate(cmd); err != nil {
			return err
		}
		set, err := input.read(cmd)
		if err != nil {
			return err
		}
		for _, kind := range accepted {
			input.options.Accepted = append(input.options.Accepted, rbac.Kind(kind))
		}
		input.reportProgress(cmd)
		report, err := rbac.Compare(set, input.options)
		if err != nil {
			return err
		}
		if err := printAnswerOrPage(cmd, report, report.PrintHTML, *format); err != nil {
			return err
		}
		return exitFor(report.Passes(), len(report.Unchecked), "parts of the input could not be compared")
	}
	return cmd
}
