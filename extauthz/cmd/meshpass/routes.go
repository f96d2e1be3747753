package main

import (
	"fmt"
	"io"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/routes"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
)

func newRoutes() *cobra.Command {
	return newGroup("routes COMMAND", "Write routes from Tyk definitions, and compare them with existing routes",
		`Maps API definitions of Tyk to routes of Istio and of the Gateway API, by what the
gateway does with a request, and compares existing routes with the definitions.`, newRoutesRender(), newRoutesCheck(), newRoutesExplain())
}

var kubernetesName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)

func newRoutesRender() *cobra.Command {
	var input systemInput
	options := routes.Options{Kind: routes.HTTPRoute}
	kind, gateway := string(options.Kind), ""
	cmd := &cobra.Command{
		Use: "render -f FILE | -k DIR | --context NAME --gateway NAMESPACE/NAME [flags]", Short: "Write HTTPRoutes or VirtualServices from API definitions", Args: noArgs,
		Long: `Writes routes with which an Envoy that istiod configures sends a request to the same
upstream, under the same path, as the Tyk gateway does. Definitions are read in classic
form, in OpenAPI form and as objects of Tyk Operator; tyk.conf or Helm values give the
gateway's switches. Routes do not authenticate: who may call is said by AccessPolicy
documents. docs/routes.md lists what differs.

An API that no route can reproduce is refused, with the reason and the place, and no
route is written, neither if a part of the input cannot be read; --partial writes those of
the other APIs. Give the definitions of one Tyk gateway at a time.

Exit codes: 0 fine; 1 APIs are refused; 2 something could not be read. It is named, with
its place.`,
		Example: `  meshpass routes render -f apis/ -f tyk.conf --gateway edge/public
  meshpass routes render -k overlays/prod --kind virtualservice --gateway istio-system/ingress > routes.yaml`,
	}
	input.addFlags(cmd)
	addChoice(cmd, &kind, "kind", "", "the kind of the routes", string(routes.HTTPRoute), string(routes.VirtualService))
	addText(cmd, &gateway, "gateway", "NAMESPACE/NAME", "the Gateway that the routes belong to: of the Gateway API for httproute, of Istio for virtualservice")
	addText(cmd, &options.Namespace, "namespace", "NAME", "the namespace of the routes (default: that of the Gateway)")
	cmd.Flags().BoolVar(&options.Partial, "partial", false, "write the routes of the other APIs if some are refused; requests to refused ones are denied")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := input.validate(cmd); err != nil {
			return err
		}
		var found bool
		if options.GatewayNamespace, options.GatewayName, found = cutGateway(gateway); !found {
			return newUsageError(cmd, "want --gateway NAMESPACE/NAME, the Gateway that the routes belong to")
		}
		if options.Namespace == "" {
			options.Namespace = options.GatewayNamespace
		}
		if !kubernetesName.MatchString(options.Namespace) {
			return newUsageError(cmd, "want a name of Kubernetes for --namespace")
		}
		options.Kind = routes.Kind(kind)
		set, err := input.read(cmd)
		if err != nil {
			return err
		}
		rendered := routes.Render(model.New(set), options, newProgress(cmd))
		if len(rendered.APIs) == 0 && len(rendered.Unchecked) == 0 {
			return fmt.Errorf("no API definition of Tyk is in the input")
		}
		if err := printAnswer(cmd, rendered, *format); err != nil {
			return err
		}
		if *format == "text" {
			if err := printErrorText(cmd, rendered.PrintStates); err != nil {
				return err
			}
		}
		return exitFor(rendered.IsComplete(), len(rendered.Unchecked), notChecked)
	}
	return cmd
}

// printErrorText is [printText] for standard error.
func printErrorText(cmd *cobra.Command, write func(io.Writer) error) error {
	out := cmd.OutOrStdout()
	cmd.SetOut(cmd.ErrOrStderr())
	defer cmd.SetOut(out)
	return printText(cmd, write)
}

func cutGateway(text string) (namespace, name string, found bool) {
	match := regexp.MustCompile(`^([^/]+)/([^/]+)$`).FindStringSubmatch(text)
	if match == nil || !kubernetesName.MatchString(match[1]) || !kubernetesName.MatchString(match[2]) {
		return "", "", false
	}
	return match[1], match[2], true
}
