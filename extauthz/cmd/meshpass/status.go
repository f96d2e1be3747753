package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/meshpass/meshpass/extauthz/status"
)

const statusUsage = `usage: meshpass status [--timeout 5s] [-o text|json] [ADDRESS...]

Says of each authorizer which generation of policies is in force and which one
its files want, the documents that are refused, with what holds instead and where
they are wrong, the overrides that lift something, and how old everything is.

  ADDRESS        of an authorizer's probes and metrics (ops), as 127.0.0.1:9090 or
                 as a URL; default http://127.0.0.1:9090
  --timeout 5s   for all of them together
  -o json        for programs

exit codes: 0 all is as wanted, 1 something is not, or an authorizer does not
answer, 2 could not ask. An override is as wanted, by whoever wrote it.
`

func (c command) status(ctx context.Context, args []string) int {
	c.usage = statusUsage
	flags := flag.NewFlagSet("status", flag.ContinueOnError)
	var timeout time.Duration
	durationVar(flags, &timeout, "timeout", 5*time.Second)
	format := flags.String("o", "text", "")
	if code, ok := c.parseUpTo(len(args), flags, args); !ok {
		return code
	}
	urls := flags.Args()
	if len(urls) == 0 {
		urls = []string{defaultOps}
	}
	for i, text := range urls {
		at, err := opsURL(text)
		if err != nil {
			return c.misused("%s", err)
		}
		urls[i] = at
	}
	if !slices.Contains([]string{"text", "json"}, *format) {
		return c.misused("-o %s: want text or json", *format)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{}} // without the proxy that the environment may name
	return c.printStatus(status.Ask(ctx, client, urls), *format == "json")
}

func (c command) printStatus(replicas []status.Replica, asJSON bool) int {
	if asJSON {
		encoder := json.NewEncoder(c.stdout)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(map[string]any{"replicas": replicas}); err != nil {
			return c.failed(fmt.Errorf("status: %w", err))
		}
	}
	code := fine
	for _, r := range replicas {
		if !asJSON {
			r.Print(c.stdout, time.Now())
		}
		if len(r.Findings) > 0 {
			code = no
		}
	}
	return code
}
