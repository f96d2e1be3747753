package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	healthTimeout = 2 * time.Second
	healthBytes   = 64 << 10 // of the answer that are shown
)

func newHealth() *cobra.Command {
	address := "127.0.0.1:9090"
	cmd := &cobra.Command{
		Use: "health [flags]", Short: "Ask a running authorizer whether it is ready", Args: noArgs,
		Long: `Asks a running authorizer for /readyz, for probes in images that have no shell.

Exit codes: 0 ready; 1 not ready, or no answer; 2 the command could not ask.`,
	}
	addText(cmd, &address, "ops", "ADDRESS", "where the authorizer serves probes (ops of its configuration); a URL such as http://127.0.0.1:9090 is possible too")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		at, err := parseOpsAddress(address)
		if err != nil {
			return newUsageError(cmd, "--ops: %s", err)
		}
		ready, err := askReadiness(cmd.Context(), at)
		if err != nil {
			return err
		}
		if err := printAnswer(cmd, ready, *format); err != nil {
			return err
		}
		if !ready.Ready {
			return errAnswerNo
		}
		return nil
	}
	return cmd
}

// readiness is the answer of /readyz.
type readiness struct {
	Ready  bool   `json:"ready"`
	Status int    `json:"status"` // of HTTP
	Text   string `json:"text"`
}

// Print writes the answer as text.
func (r readiness) Print(to io.Writer) error {
	_, err := fmt.Fprintln(to, r.Text)
	return err
}

// askReadiness asks the authorizer at that URL. No answer counts as the answer no.
func askReadiness(ctx context.Context, url string) (readiness, error) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
	if err != nil {
		return readiness{}, err
	}
	client := http.Client{Transport: &http.Transport{}} // no proxy of the environment
	response, err := client.Do(request)
	if err != nil {
		return readiness{}, &exitError{code: exitAnswerNo, err: fmt.Errorf("no answer: %w", err)}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, healthBytes))
	return readiness{
		Ready: err == nil && response.StatusCode == http.StatusOK, Status: response.StatusCode, Text: strings.TrimSpace(string(text)),
	}, nil
}
