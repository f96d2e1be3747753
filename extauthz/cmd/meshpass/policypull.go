package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/policypull"
	"github.com/meshpass/meshpass/extauthz/internal/printer"
)

// pullTimeout bounds one pull.
const pullTimeout = time.Minute

// policyPull is one run of `policy pull`.
type policyPull struct {
	dir       string
	every     time.Duration
	plainHTTP bool
	format    *string
}

func newPolicyPull() *cobra.Command {
	p := policyPull{every: -1}
	cmd := &cobra.Command{
		Use: "pull REFERENCE [flags]", Short: "Keep a folder at the policies of an OCI artifact in a registry",
		Long: `Downloads the policies of an OCI artifact, which oras push REFERENCE *.yaml makes, to
DIR/sha256-DIGEST and lets the link DIR/current lead there. List DIR/current in
policies.dirs of the configuration: meshpass status then shows the digest.
REFERENCE is REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST. The digest of each file
is checked. Credentials are those of Docker's configuration file
(DOCKER_CONFIG/config.json, or ~/.docker/config.json).

Exit codes: 0 done, or nothing has changed; 2 it could not be done, and DIR/current is as before.`,
		Example: `  meshpass policy pull registry.example.com/policies:1 --dir /policies --every 30s`,
	}
	addText(cmd, &p.dir, "dir", "DIR", "the folder of the versions and the link; it must exist (required)")
	addDuration(cmd, &p.every, "every", "keep running, and look for a change that often; a pull that fails is reported and tried again")
	cmd.Flags().BoolVar(&p.plainHTTP, "plain-http", false, "insecure: the registry has no TLS, so anybody on the way can exchange the policies of a tag")
	p.format = addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) != 1:
			return newUsageError(cmd, "policy pull needs one REFERENCE")
		case p.dir == "":
			return newUsageError(cmd, "policy pull needs --dir DIR")
		case cmd.Flags().Changed("every") && p.every < time.Second:
			return newUsageError(cmd, "--every must be at least 1s")
		}
		if info, err := os.Stat(p.dir); err != nil || !info.IsDir() {
			return fmt.Errorf("--dir %s: want a folder that exists", p.dir)
		}
		artifact, err := policypull.Open(args[0], p.plainHTTP)
		if err != nil {
			return err
		}
		return p.run(cmd, artifact)
	}
	return cmd
}

// run pulls once, or until it is interrupted.
func (p *policyPull) run(cmd *cobra.Command, artifact *policypull.Artifact) error {
	first := true
	for {
		pulled, err := p.pull(cmd.Context(), artifact)
		if err == nil && (first || pulled.Changed) {
			err = p.print(cmd, pulled)
		}
		if p.every < 0 {
			return err
		}
		first = first && err != nil
		if cmd.Context().Err() != nil {
			return nil
		}
		reportError(err, *p.format == "json", cmd.OutOrStdout(), cmd.ErrOrStderr())
		select {
		case <-cmd.Context().Done():
			return nil
		case <-time.After(p.every):
		}
	}
}

func (p *policyPull) pull(ctx context.Context, artifact *policypull.Artifact) (policypull.Pulled, error) {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	return artifact.Pull(ctx, p.dir)
}

// print prints one line, of JSON too: with --every, one for each change.
func (p *policyPull) print(cmd *cobra.Command, pulled policypull.Pulled) error {
	if *p.format == "json" {
		return printer.JSONLine(cmd.OutOrStdout(), pulled)
	}
	return printText(cmd, func(to io.Writer) error {
		change := "unchanged"
		if pulled.Changed {
			change = "new"
		}
		_, err := fmt.Fprintf(to, "%s  %s, %d files in %s (%s)\n", pulled.Digest, pulled.Reference, pulled.Files, pulled.Folder, change)
		return err
	})
}
