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
		Use: "status [ADDRESS...] [flags]", Short: "Show which policies and keys are active in authorizers, and what is wrong",
		Long: `Shows for each authorizer: the active generation of policies and the generation of its
files; rejected documents with their mistakes, and what applies instead; active
overrides; and the age of everything.

ADDRESS is the address of the probes and metrics of an authorizer (ops of its
configuration), such as 127.0.0.1:9090 or a URL. The default is ` + defaultOps + `.

Exit codes: 0 nothing is wrong; 1 something is wrong, or an authorizer does not answer;
2 the command could not ask. An active override is not reported as a problem.`,
	}
	addDuration(cmd, &timeout, "timeout", "how long to wait for the answers of all authorizers")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, addresses []string) error {
		if timeout <= 0 {
			return newUsageError(cmd, "--timeout must be more than 0s")
		}
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
		client := &http.Client{Transport: &http.Transport{}} // no proxy of the environment
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

// replicas are the answers of the authorizers.
type replicas struct {
	Replicas []status.Replica `json:"replicas"`
}

// Print writes the answers as text.
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
