package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/meshpass/meshpass/extauthz/services/kube"
)

const servicesUsage = `usage: meshpass services [--out FILE [--watch] [-o json]] [FLAGS]

Writes the file in which a listener with callee: service finds who is called, from
the Services of a cluster or from a list of them. Headless Services and others
without an address of their own are left out, and named.

  --out FILE          write there, at once; without it the file goes to standard
                      output
  --watch             stay, and write it again whenever Services change
  -f FILE             from kubectl get services -A -o yaml, or json; - is standard
                      input. Without it the cluster is asked
  --kubeconfig FILE   how to reach the cluster; default: $KUBECONFIG, ~/.kube/config
                      or, in a pod, its service account (get, list and watch)
  --context NAME      of the kubeconfig; default: the current one
  -n NAMESPACE        only this namespace; default: all
  -o json             print what was done as JSON

exit codes: 0 done, or done already; 1 no Service could be written; 2 could not do it
`

// settle is what changes that belong together take.
const settle = 500 * time.Millisecond

type servicesFlags struct {
	kube.Access
	out, from, format string
	watch             bool
}

func (c command) services(ctx context.Context, args []string) int {
	c.usage = servicesUsage
	var f servicesFlags
	flags := flag.NewFlagSet("services", flag.ContinueOnError)
	flags.StringVar(&f.Kubeconfig, "kubeconfig", "", "")
	flags.StringVar(&f.Context, "context", "", "")
	flags.StringVar(&f.Namespace, "n", "", "")
	flags.StringVar(&f.from, "f", "", "")
	flags.StringVar(&f.out, "out", "", "")
	flags.StringVar(&f.format, "o", "", "")
	flags.BoolVar(&f.watch, "watch", false, "")
	if code, ok := c.parse(flags, args); !ok {
		return code
	}
	switch {
	case f.format != "" && (f.format != "json" || f.out == ""):
		return c.misused("-o %s: want json, and --out FILE", f.format)
	case f.from != "" && f.Access != kube.Access{}:
		return c.misused("-f reads a list: --kubeconfig, --context and -n are for a cluster")
	case f.watch && (f.from != "" || f.out == ""):
		return c.misused("--watch needs --out FILE and a cluster")
	case f.from != "":
		return c.servicesFromList(f)
	}
	return c.servicesFromCluster(ctx, f)
}

func (c command) servicesFromList(f servicesFlags) int {
	var from io.Reader = os.Stdin
	if f.from != "-" {
		file, err := os.Open(f.from)
		if err != nil {
			return c.failed(err)
		}
		defer file.Close()
		from = file
	}
	list, err := kube.Decode(from)
	if err != nil {
		return c.failed(fmt.Errorf("%s: %w", f.from, err))
	}
	return c.servicesFile(list, f)
}

func (c command) servicesFromCluster(ctx context.Context, f servicesFlags) int {
	cluster, err := kube.Connect(f.Access)
	if err != nil {
		return c.failed(err)
	}
	list, err := cluster.List(ctx)
	if err != nil {
		return c.failed(err)
	}
	code := c.servicesFile(list, f)
	if !f.watch || code == couldNot {
		return code
	}
	// A change that cannot be written leaves the file as it is; the next may mend it.
	cluster.Watch(ctx, settle, func(list []kube.Service, err error) {
		if err != nil {
			c.failed(err)
			return
		}
		c.servicesFile(list, f)
	})
	return fine
}

// servicesFile writes the file, or prints it; then what is left out goes to
// standard error, so that the file stays a file.
func (c command) servicesFile(list []kube.Service, f servicesFlags) int {
	file, err := kube.Make(list)
	if err != nil {
		c.failed(err)
		return no
	}
	if f.out == "" {
		for _, skipped := range file.Skipped {
			fmt.Fprintln(c.stderr, skipped)
		}
		if _, err := c.stdout.Write(file.Data); err != nil {
			return c.failed(err)
		}
		return fine
	}
	report, err := file.Write(f.out)
	if err != nil {
		return c.failed(err)
	}
	if f.format == "json" {
		if err := json.NewEncoder(c.stdout).Encode(report); err != nil {
			return c.failed(err)
		}
		return fine
	}
	report.Print(c.stdout)
	return fine
}
