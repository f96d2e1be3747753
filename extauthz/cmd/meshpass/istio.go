package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/istioproviders"
)

func newIstio() *cobra.Command {
	return newGroup("istio COMMAND", "Prepare the configuration of an Istio that exists",
		`Prepares the configuration of an Istio that exists.`, newIstioProviders(), newIstioHeaders(), newIstioGuarded(), newIstioPlaintext())
}

func newIstioProviders() *cobra.Command {
	settings := istioproviders.DefaultSettings()
	var mode editMode
	var name string
	cmd := &cobra.Command{
		Use: "providers -f FILE [flags]", Short: "Merge the extension providers into a MeshConfig", Args: filesByFlag,
		Long: `Merges Meshpass's extension providers into a MeshConfig, by name. Everything else stays as
it is, byte for byte, other providers too. A provider of ours with other settings is
replaced. FILE has an IstioOperator, an Istio of the Sail operator, Helm values with
meshConfig, the ConfigMap istio, or a plain MeshConfig; - is standard input.

` + editModes + `

Exit codes: 0 fine; 1 with --check, a provider is missing or different; 2 it could not be
done.`,
		Example: `  kubectl -n istio-system get configmap istio -o yaml | meshpass istio providers --check -f -
  helm -n istio-system get values istiod -o yaml | meshpass istio providers -f - > values.yaml`,
	}
	addTextP(cmd, &name, "file", "f", "FILE", "the file with the MeshConfig (required)")
	addText(cmd, &settings.Service, "service", "NAME", "the name of the authorizer's Service for sidecars; the others have -waypoint and -ingress after it")
	addText(cmd, &settings.Namespace, "namespace", "NAME", "the namespace of the authorizer")
	addText(cmd, &settings.ClusterDomain, "cluster-domain", "DOMAIN", "the domain of the cluster's Services")
	cmd.Flags().IntVar(&settings.Port, "port", settings.Port, "the port of the listener for sidecars")
	cmd.Flags().IntVar(&settings.WaypointPort, "waypoint-port", settings.WaypointPort, "the port of the listener for waypoints")
	cmd.Flags().IntVar(&settings.IngressPort, "ingress-port", settings.IngressPort, "the port of the listener for ingress gateways")
	addDuration(cmd, &settings.Timeout, "timeout", "how long Envoy waits for an answer")
	cmd.Flags().BoolVar(&settings.Beside, "beside", false, "sidecars ask the authorizer in their own pod (manifests/istio/beside)")
	addFunc(cmd, "provider", "NAME", "", "merge only this one of "+strings.Join(istioproviders.Names, ", ")+"; may be given several times", func(text string) error {
		if !slices.Contains(istioproviders.Names, text) {
			return fmt.Errorf("want %s", joinChoices(istioproviders.Names))
		}
		settings.Names = append(settings.Names, text)
		return nil
	})
	mode.addFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if name == "" {
			return newUsageError(cmd, "istio providers needs -f FILE with a MeshConfig, or -f -")
		}
		if err := mode.validate(cmd, []string{name}); err != nil {
			return err
		}
		if err := settings.Validate(); err != nil {
			return newUsageError(cmd, "%s", err)
		}
		text, err := readDocument(cmd, name)
		if err != nil {
			return err
		}
		after, result, err := istioproviders.Merge(documentName(name), text, settings)
		if err != nil {
			return err
		}
		if mode.check {
			return printReport(cmd, result, result.Print, mode.format, result.IsComplete())
		}
		for _, provider := range result.Different {
			fmt.Fprintf(cmd.ErrOrStderr(), "meshpass: the provider %s had other settings and is replaced\n", provider)
		}
		for _, note := range result.Notes {
			fmt.Fprintf(cmd.ErrOrStderr(), "meshpass: %s\n", note)
		}
		return mode.output(cmd, []documentChange{{name: name, before: text, after: after}})
	}
	return cmd
}
