package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

const usage = "usage: istiod serve|dump|validate --mesh FILE --dir DIR ... (istiod serve -h lists the flags of serve, and so on)"

// options is a command line that is complete and without contradiction.
type options struct {
	command string // serve, dump or validate
	source  source
	listen  string // serve
	debug   string // serve; empty: no debug interface
	nodes   string // dump
	out     string // dump
}

func parseFlags(args []string, stderr io.Writer) (options, error) {
	if len(args) == 0 {
		return options{}, errors.New(usage)
	}
	o := options{command: args[0]}
	set := flag.NewFlagSet("istiod "+o.command, flag.ContinueOnError)
	set.SetOutput(stderr)
	set.StringVar(&o.source.mesh, "mesh", "", "`FILE` holding the IstioOperator whose spec.meshConfig applies")
	set.Var((*list)(&o.source.dirs), "dir", "`DIR` of Kubernetes and Istio YAML; may be repeated")
	required := []string{"mesh", "dir"}
	switch o.command {
	case "serve":
		set.StringVar(&o.listen, "listen", "", "`ADDR:PORT` on which Envoys are served")
		set.StringVar(&o.debug, "debug", "", "`ADDR:PORT` of Istio's debug interface, such as /debug/syncz; absent: none")
		required = append(required, "listen")
	case "dump":
		set.StringVar(&o.nodes, "nodes", "", "`FILE` with one proxy's node as JSON, or a folder of them")
		set.StringVar(&o.out, "out", "", "`DIR` that gets one JSON file per proxy")
		required = append(required, "nodes", "out")
	case "validate": // the folders with overlays, and those below
	default:
		return options{}, fmt.Errorf("unknown command %q; %s", o.command, usage)
	}
	if err := set.Parse(args[1:]); err != nil {
		return options{}, err
	}
	if set.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q; %s", set.Arg(0), usage)
	}
	return o, missing(set, required)
}

func missing(set *flag.FlagSet, required []string) error {
	var errs []error
	for _, name := range required {
		if set.Lookup(name).Value.String() == "" {
			errs = append(errs, fmt.Errorf("--%s is required", name))
		}
	}
	return errors.Join(errs...)
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(s string) error {
	*l = append(*l, s)
	return nil
}
