package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/allowedheaders"
	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
)

func newIstioHeaders() *cobra.Command {
	var source policycli.DocumentSource
	settings := allowedheaders.Settings{Namespace: "istio-system"}
	var check string
	cmd := &cobra.Command{
		Use: "headers SOURCE... [flags]", Short: "Make an EnvoyFilter so that sidecars send only the headers that are read",
		Long: `Prints an EnvoyFilter. It makes sidecars send to Meshpass only the headers that the
policies read, and those that every decision needs: the token, every spelling of the
headers that only Meshpass may write, and what audit records hold. A Check with fewer
headers costs less. docs/envoy.md says in which order to apply the EnvoyFilter, the
configuration (envoy.allowedHeaders) and a policy that reads another header.

` + policySources + `

Exit codes: 0 fine; 1 with --check, FILE lacks a header that is read, or has one that no
policy reads; 2 it could not be done.`,
		Example: `  meshpass istio headers policies > allowed-headers.yaml
  meshpass istio headers policies --check allowed-headers.yaml`,
	}
	addText(cmd, &settings.Namespace, "namespace", "NAME", "the namespace of the EnvoyFilter; the root namespace of Istio is for all sidecars")
	addFunc(cmd, "header", "NAME", "", "also send this header, which a policy is going to read; may be given several times", func(name string) error {
		settings.Headers = append(settings.Headers, name)
		return allowedheaders.CheckName(name)
	})
	addText(cmd, &check, "check", "FILE", "print nothing but how FILE differs from what the policies read")
	addPolicySource(cmd, &source)
	format := "yaml"
	addChoice(cmd, &format, "output", "o", "yaml for the EnvoyFilter, text for the list of headers, json for programs", "yaml", "text", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkStdin(cmd, slices.Concat(args, source.Guardrails)...); err != nil {
			return err
		}
		source.Sources, source.Stdin = args, cmd.InOrStdin()
		set, err := source.LoadSet()
		if err != nil {
			return err
		}
		settings.Headers = append(settings.Headers, set.SidecarHeaders()...)
		list := headerList{Headers: allowedheaders.ListNames(settings.Headers), Pattern: identity.ReservedHeaderPattern}
		switch {
		case check != "":
			return checkHeaderFile(cmd, check, list.Headers, format)
		case format == "yaml":
			text, err := allowedheaders.Write(settings)
			if err == nil {
				_, err = cmd.OutOrStdout().Write(text)
			}
			return err
		}
		return printAnswer(cmd, list, format)
	}
	return cmd
}

// headerList is what sidecars send.
type headerList struct {
	Headers []string `json:"headers"`
	Pattern string   `json:"pattern"` // of the headers that only Meshpass may write
}

func (l headerList) Print(to io.Writer) error {
	_, err := fmt.Fprintf(to, "%s\n%s\n", l.Pattern, strings.Join(l.Headers, "\n"))
	return err
}

// headerDifference is how a file differs from what the policies read.
type headerDifference struct {
	Missing []string `json:"missing"`
	Unread  []string `json:"unread"`
}

func checkHeaderFile(cmd *cobra.Command, file string, read []string, format string) error {
	data, err := readfile.Read(file, allowedheaders.MaxFileBytes)
	if err != nil {
		return err
	}
	sent, err := allowedheaders.Parse(data)
	if err != nil {
		return strictyaml.InFile(file, err)
	}
	without := func(all, others []string) []string {
		return slices.DeleteFunc(append([]string{}, all...), func(name string) bool { return slices.Contains(others, name) })
	}
	d := headerDifference{Missing: without(read, sent), Unread: without(sent, read)}
	return printReport(cmd, d, d.Print, format, len(d.Missing)+len(d.Unread) == 0)
}

func (d headerDifference) Print(to io.Writer) error {
	for _, name := range d.Missing {
		fmt.Fprintf(to, "missing: %s\n", name)
	}
	for _, name := range d.Unread {
		fmt.Fprintf(to, "no policy reads: %s\n", name)
	}
	return nil
}
