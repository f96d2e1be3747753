package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/plaintext"
)

func newIstioPlaintext() *cobra.Command {
	var logs []string
	var pods string
	cmd := &cobra.Command{
		Use: "plaintext -f LOG [flags]", Short: "Name the callers that send plaintext, before mutual TLS is required", Args: filesByFlag,
		Long: `Names the callers of a workload that show no certificate, from the access log of its
sidecar in the format of manifests/istio/install.yaml. They are denied as soon as a
PeerAuthentication requires mutual TLS. LOG is the output of kubectl logs of all replicas;
- is standard input. With --pods, addresses of pods get the names of their workloads.

Exit codes: 0 every caller shows a certificate; 1 some do not; 2 it could not be done, or
the log has no request to the workload.`,
		Example: `  kubectl -n shop logs -l app=orders -c istio-proxy --tail=-1 --prefix=false > orders.log
  kubectl get pods -A -o json > pods.json
  meshpass istio plaintext -f orders.log --pods pods.json`,
	}
	cmd.Flags().VarP(&flagValue{kind: "LOG", set: func(text string) error { logs = append(logs, text); return nil }}, "file", "f", "an access log (required); may be given several times")
	addText(cmd, &pods, "pods", "FILE", "the output of kubectl get pods -A -o json")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(logs) == 0 {
			return newUsageError(cmd, "istio plaintext needs -f LOG with an access log, or -f -")
		}
		var names map[string]string
		if pods != "" {
			file, err := openInput(cmd, pods)
			if err != nil {
				return err
			}
			defer file.Close()
			if names, err = plaintext.DecodePods(file); err != nil {
				return fmt.Errorf("%s: %w", pods, err)
			}
		}
		var finder plaintext.Finder
		for _, name := range logs {
			if err := readAccessLog(cmd, &finder, name); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		report, err := finder.Report(names)
		if err != nil {
			return err
		}
		return printReport(cmd, report, report.Print, *format, report.HasNone())
	}
	return cmd
}

func readAccessLog(cmd *cobra.Command, finder *plaintext.Finder, name string) error {
	file, err := openInput(cmd, name)
	if err != nil {
		return err
	}
	defer file.Close()
	return finder.Read(file)
}
