package main

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/status"
)

func newStatus() *cobra.Command {
	timeout := 5 * time.Second
	cmd := &cobra.Command{
		Use: "status [ADDRESS...] [flags]", Short: "Show what authorizers run, and why that is not what they should run",
		Long: `Shows of each authorizer which generation of policies is active and which one its
files hold, the documents that are rejected, with what applies instead and where they
are wrong, the active overrides, and how old everything is.

ADDRESS is where an authorizer serves probes and metrics (ops of its configuration),
as 127.0.0.1:9090 or as a URL. Without one it is ` + defaultOps + `.

Exit codes: 0 all is as it should be; 1 something is not, or an authorizer does not
answer; 2 the command could not ask. An override counts as it should be.`,
	}
	addDuration(cmd, &timeout, "timeout", "how long to wait for all answers together")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, addresses []string) error {
		urls := []string{}
		for _, text := range addresses {
			at, err := parseOpsAddress(text)
			if err != nil {
				return newUsageError(cmd, "%s", err)
			}
			urls = append(urls, at)
		}
		if len(urls) == 0 {
			urls = append(urls, defaultOps)
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
		defer cancel()
		client := &http.Client{Transport: &http.Transport{}} // without the proxy that the environment may name
		replicas := replicas{status.AskReplicas(ctx, client, urls)}
		if err := printAnswer(cmd, replicas, *format); err != nil {
			return err
		}
		if replicas.haveFindings() {
			return errAnswerNo
		}
		return nil
	}
	return cmd
}

// replicas is what the authorizers answered.
type replicas struct {
	Replicas []status.Replica `json:"replicas"`
}

// Print writes it for people.
func (r replicas) Print(to io.Writer) error {
	for _, replica := range r.Replicas {
		replica.Print(to, time.Now())
	}
	return nil
}

func (r replicas) haveFindings() bool {
	for _, replica := range r.Replicas {
		if len(replica.Findings) > 0 {
			return true
		}
	}
	return false
}
