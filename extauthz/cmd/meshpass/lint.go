package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/kubeclient"
	"github.com/meshpass/meshpass/extauthz/internal/syslint"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/atomicfile"
	"github.com/meshpass/meshpass/internal/readfile"
)

// lintInput is what lint reads.
type lintInput struct {
	files, overlays []string
	ignored         []string
	context         string
	kubeconfig      string
	cluster         bool
	secrets         bool
}

func newLint() *cobra.Command {
	var input lintInput
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
	addFileFlag := func(into *[]string, name, letter, kind, usage string) {
		value := &flagValue{kind: kind, set: func(text string) error {
			*into = append(*into, text)
			return nil
		}}
		cmd.Flags().VarP(value, name, letter, usage+"; may be given several times")
	}
	addFileFlag(&input.files, "file", "f", "FILE|DIR|-", "a file, all files *.yaml, *.yml, *.json and *.conf below a folder, or standard input")
	addFileFlag(&input.overlays, "kustomize", "k", "DIR", "a kustomize overlay, rendered as kubectl does")
	addFunc(cmd, "context", "NAME", "", "the objects of a cluster, by a context of the kubeconfig; \"\" is the current one", func(text string) error {
		input.context, input.cluster = text, true
		return nil
	})
	addText(cmd, &input.kubeconfig, "kubeconfig", "FILE", "the kubeconfig for --context")
	cmd.Flags().BoolVar(&input.secrets, "include-secrets", false, "read Secrets of the cluster too; without it, none is read")
	addList(cmd, &input.ignored, "ignore-kind", "KIND.GROUP", "accept objects of a kind that no check knows")
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
		err = printFindings(cmd, report, *format, report.Passes())
		var answer *exitError
		if (err == nil || errors.As(err, &answer) && answer.err == nil) && !report.IsComplete() {
			return &exitError{code: exitCouldNot, inAnswer: true, err: fmt.Errorf("%d parts of the input could not be checked", len(report.Unchecked))}
		}
		return err
	}
	return cmd
}

func (i lintInput) validate(cmd *cobra.Command) error {
	switch {
	case len(i.files)+len(i.overlays) == 0 && !i.cluster:
		return newUsageError(cmd, "lint needs an input: -f FILE, -k DIR or --context NAME")
	case !i.cluster && (i.secrets || i.kubeconfig != ""):
		return newUsageError(cmd, "--include-secrets and --kubeconfig need --context")
	}
	return checkStdin(cmd, i.files...)
}

// read reads all inputs, and reports progress if that takes seconds.
func (i lintInput) read(cmd *cobra.Command) (*objects.Set, error) {
	reader := objects.NewReader()
	reader.IgnoreKinds = i.ignored
	next := time.Now().Add(2 * time.Second)
	reader.Progress = func(read int) {
		if now := time.Now(); now.After(next) {
			next = now.Add(2 * time.Second)
			fmt.Fprintf(cmd.ErrOrStderr(), "meshpass: %d objects and files are read\n", read)
		}
	}
	for _, dir := range i.overlays {
		if err := reader.ReadOverlay(dir); err != nil {
			return nil, err
		}
	}
	for _, name := range i.files {
		var err error
		if name == "-" {
			err = reader.ReadStream(documentName(name), cmd.InOrStdin())
		} else {
			err = reader.ReadPath(name)
		}
		if err != nil {
			return nil, err
		}
	}
	if i.cluster {
		client, err := kubeclient.New(kubeclient.Config{Kubeconfig: i.kubeconfig, Context: i.context})
		if err != nil {
			return nil, err
		}
		source := "context " + i.context
		if i.context == "" {
			source = "the current context"
		}
		if err := reader.ReadCluster(cmd.Context(), client, source, i.secrets); err != nil {
			return nil, err
		}
	}
	return reader.Set, nil
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
