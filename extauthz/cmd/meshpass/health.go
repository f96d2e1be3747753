package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const healthUsage = `usage: meshpass health [--ops ADDRESS]

Asks a running authorizer's /readyz, for probes in images that have no shell.

  --ops 127.0.0.1:9090   where it serves its probes (ops in its configuration); a URL
                         such as http://127.0.0.1:9090 is fine too

exit codes: 0 ready, 1 not ready or no answer, 2 could not ask
`

const (
	healthTimeout = 2 * time.Second
	healthBytes   = 64 << 10 // of the answer that is shown
)

func (c command) health(ctx context.Context, args []string) int {
	c.usage = healthUsage
	flags := flag.NewFlagSet("health", flag.ContinueOnError)
	address := flags.String("ops", "127.0.0.1:9090", "")
	if code, ok := c.parse(flags, args); !ok {
		return code
	}
	at, err := opsURL(*address)
	if err != nil {
		return c.misused("--ops: %s", err)
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"/readyz", nil)
	if err != nil {
		return c.failed(err)
	}
	client := http.Client{Transport: &http.Transport{}} // without the proxy that the environment may name
	answer, err := client.Do(request)
	if err != nil {
		fmt.Fprintf(c.stderr, "meshpass: no answer: %s\n", err)
		return no
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, healthBytes))
	fmt.Fprintln(c.stdout, strings.TrimSpace(string(text)))
	if err != nil || answer.StatusCode != http.StatusOK {
		return no
	}
	return fine
}
