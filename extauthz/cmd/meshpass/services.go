package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/kubeclient"
	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/extauthz/internal/services/kubeservices"
)

// changePause is how long to wait for changes that belong together.
const changePause = 500 * time.Millisecond

// servicesCommand is one run of `services`.
type servicesCommand struct {
	cluster   kubeclient.Config
	namespace string // of the cluster; empty: all
	out, from string
	watch     bool
	format    *string
}

func newServices() *cobra.Command {
	var s servicesCommand
	cmd := &cobra.Command{
		Use: "services [flags]", Short: "Write the file of Services that a waypoint's listener needs", Args: noArgs,
		Long: `Writes the file in which a listener with callee: service finds the callee, from the
Services of a cluster or from a list of them. Headless Services and others
without an address of their own are left out and reported.

Exit codes: 0 done, or already done; 1 no Service could be written; 2 it could not
be done.`,
		Example: `  meshpass services --out services.yaml --watch
  kubectl get services -A -o yaml | meshpass services -f - --out services.yaml`,
	}
	addText(cmd, &s.out, "out", "FILE", "write the file there. Without it the file goes to standard output")
	cmd.Flags().BoolVar(&s.watch, "watch", false, "with --out: keep running, and write the file again when Services change")
	addTextP(cmd, &s.from, "filename", "f", "FILE", "read this list, from kubectl get services -A -o yaml or json, instead of a cluster; - is standard input")
	addTextP(cmd, &s.namespace, "namespace", "n", "NAMESPACE", "only the Services of this namespace; without it of all namespaces")
	addKubeconfig(cmd, &s.cluster)
	s.format = addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case *s.format == "json" && s.out == "":
			return newUsageError(cmd, "-o json prints the report of --out FILE")
		case s.from != "" && (s.cluster != kubeclient.Config{} || s.namespace != ""):
			return newUsageError(cmd, "-f reads a list: --kubeconfig, --context and -n are for a cluster")
		case s.watch && (s.from != "" || s.out == ""):
			return newUsageError(cmd, "--watch needs --out FILE and a cluster")
		case s.from != "":
			return s.writeFromList(cmd)
		}
		return s.writeFromCluster(cmd.Context(), cmd)
	}
	return cmd
}

func (s *servicesCommand) writeFromList(cmd *cobra.Command) error {
	from, err := openInput(cmd, s.from)
	if err != nil {
		return err
	}
	defer from.Close()
	list, err := kubeservices.DecodeList(from)
	if err != nil {
		return fmt.Errorf("%s: %w", s.from, err)
	}
	return s.writeFile(cmd, list)
}

func (s *servicesCommand) writeFromCluster(ctx context.Context, cmd *cobra.Command) error {
	client, err := kubeclient.New(s.cluster)
	if err != nil {
		return err
	}
	cluster := kubeservices.NewCluster(client, s.namespace)
	list, err := cluster.List(ctx)
	if err != nil {
		return err
	}
	err = s.writeFile(cmd, list)
	if !s.watch || exitCode(err) == exitCouldNot {
		return err
	}
	reportError(err, *s.format == "json", cmd.OutOrStdout(), cmd.ErrOrStderr())
	// A change that cannot be written leaves the file as it is; the next one may fix it.
	cluster.Watch(ctx, changePause, func(list []kubeservices.Service, err error) {
		if err == nil {
			err = s.writeFile(cmd, list)
		}
		reportError(err, *s.format == "json", cmd.OutOrStdout(), cmd.ErrOrStderr())
	})
	return nil
}

// writeFile writes the file, or prints it. In the latter case the Services that are left
// out go to standard error, so that the output is only the file.
func (s *servicesCommand) writeFile(cmd *cobra.Command, list []kubeservices.Service) error {
	file, err := kubeservices.BuildFile(list)
	if err != nil {
		return &exitError{code: exitAnswerNo, err: err}
	}
	if s.out == "" {
		for _, skipped := range file.Skipped {
			fmt.Fprintln(cmd.ErrOrStderr(), printer.Escape(skipped.String()))
		}
		_, err := cmd.OutOrStdout().Write(file.Data)
		return err
	}
	done, err := file.Write(s.out)
	switch {
	case err != nil:
		return err
	case *s.format == "json":
		return printer.JSONLine(cmd.OutOrStdout(), done) // with --watch, one line for each change
	}
	return printText(cmd, func(to io.Writer) error { done.Print(to); return nil })
}
