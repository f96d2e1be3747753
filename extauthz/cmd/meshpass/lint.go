package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/syslint"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/atomicfile"
	"github.com/meshpass/meshpass/internal/readfile"
)

func newLint() *cobra.Command {
	var input systemInput
	var baseline, newBaseline string
	cmd := &cobra.Command{
		Use: "lint -f FILE | -k DIR | --context NAME [flags]", Short: "Check Tyk, Istio and policies against each other", Args: noArgs,
		Long: `Reads the configuration of Tyk, Istio and Meshpass as one system, and finds faults that no
part shows by itself: API definitions of Tyk (classic, OpenAPI, Operator), tyk.conf and
Helm values, Tyk policies, the plugin's and the authorizer's configuration, AccessPolicy
documents, MeshConfig, objects of Istio and of the Gateway API, and workloads. Files in
ConfigMaps are read too. Each finding has a code, which docs/lint.md describes.

Give everything that runs together: a finding is about what the input has.

Exit codes: 0 no findings; 1 findings; 2 something could not be read or checked. It is
named, with its place.`,
		Example: `  meshpass lint -k manifests/overlays/dev -f manifests/istio/install.yaml
  helm template tyk tyk-helm/tyk-oss | meshpass lint -f - -f policies/ -f istio/
  meshpass lint --context production --baseline lint-baseline.json`,
	}
	input.addFlags(cmd)
	addText(cmd, &baseline, "baseline", "FILE", "accept the findings that this file lists")
	addText(cmd, &newBaseline, "write-baseline", "FILE", "write a file that accepts all findings, and exit with 0")
	format := addOutput(cmd, "github", "for workflow commands, which GitHub shows at the lines of a pull request",
		"sarif", "for code scanning (SARIF 2.1.0)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := input.validate(cmd); err != nil {
			return err
		}
		if baseline != "" && newBaseline != "" {
			return newUsageError(cmd, "want one of --baseline and --write-baseline")
		}
		accepted, err := readBaseline(baseline)
		if err != nil {
			return err
		}
		set, err := input.read(cmd)
		if err != nil {
			return err
		}
		report := syslint.Run(set)
		if newBaseline != "" {
			return writeBaseline(cmd, report, newBaseline)
		}
		report.Accept(accepted)
		if err := printFindings(cmd, report, *format, true); err != nil {
			return err
		}
		return exitFor(report.Passes(), len(report.Unchecked), notChecked)
	}
	return cmd
}

func readBaseline(name string) (syslint.Baseline, error) {
	if name == "" {
		return syslint.Baseline{}, nil
	}
	data, err := readfile.Read(name, objects.MaxFileBytes)
	if err != nil {
		return syslint.Baseline{}, err
	}
	return syslint.ParseBaseline(name, data)
}

// writeBaseline writes all findings. Parts that could not be checked stay a fault.
func writeBaseline(cmd *cobra.Command, report syslint.Report, name string) error {
	if !report.IsComplete() {
		err := printText(cmd, func(to io.Writer) error { return report.Print(to) })
		return errors.Join(err, fmt.Errorf("%d parts of the input could not be checked: no baseline was written", len(report.Unchecked)))
	}
	text, err := syslint.NewBaseline(report)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(name, text, os.FileMode(0o644)); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "wrote %s: it accepts %d findings\n", name, len(report.Findings))
	return nil
}
