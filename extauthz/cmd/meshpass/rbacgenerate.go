package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/extauthz/internal/rbac"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/atomicfile"
	"github.com/meshpass/meshpass/shared/policy/method"
)

// The results of rbac generate.
const (
	toTyk  = "tyk"
	toEdge = "edge"
)

// generated is a result: the file, and what is different in it.
type generated struct {
	answer      answer
	differences rbac.Differences
	file        []byte
}

func newRBACGenerate() *cobra.Command {
	var input rbacInput
	var to, out string
	options := rbac.GenerateOptions{Roles: map[string][]string{}}
	cmd := &cobra.Command{
		Use: "generate --to tyk|edge -f FILE | -k DIR | --context NAME [flags]", Short: "Write Tyk policies or edge documents of AccessPolicies", Args: noArgs,
		Long: `Writes what Tyk has to know of the AccessPolicies of the hops, so that a role is written once:
Tyk policies with allowed URLs (--to tyk), or documents for the gateway's plugin (--to edge).

The result admits everything that the hops allow. What it admits beyond that, because only a
request decides it, is listed as wider, with the condition. It compares its own result with the
documents, on all paths. A rule that cannot be expressed is refused, with its place; nothing is
written then.

A role is a Tyk policy of scopes.byPolicy in the plugin's file, or what --role names. Without
both, each scope of the documents is a role.

Without --out, the result is printed, and the differences go to standard error. With --out, the
differences are printed.

Exit codes: 0 written; 2 something is refused or could not be read.`,
		Example: `  meshpass rbac generate --to tyk -f tyk/ -f policies/ -f plugin.yaml --out policies.json
  meshpass rbac generate --to edge -k manifests/overlays/dev -f shop.yaml --out edge.yaml`,
	}
	addChoice(cmd, &to, "to", "", "what to write (required)", toTyk, toEdge)
	addText(cmd, &out, "out", "FILE", "write the result into this file")
	addFunc(cmd, "role", "ID=SCOPE,SCOPE", "", "a Tyk policy and the scopes that it grants; may be given several times", func(text string) error {
		id, scopes, found := strings.Cut(text, "=")
		if !found || id == "" {
			return errors.New("write ID=SCOPE,SCOPE, such as reader=orders.read")
		}
		for _, scope := range strings.Split(scopes, ",") {
			if scope != "" {
				options.Roles[id] = append(options.Roles[id], scope)
			}
		}
		return nil
	})
	addFunc(cmd, "method", "METHOD", "", "a method, beside the usual ones, of rules that name none; may be given several times", func(text string) error {
		if err := method.Check(text); err != nil {
			return err
		}
		options.Methods = append(options.Methods, text)
		return nil
	})
	input.addFlags(cmd)
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if to == "" {
			return newUsageError(cmd, "rbac generate needs --to tyk or --to edge")
		}
		if err := input.validate(cmd); err != nil {
			return err
		}
		set, err := input.read(cmd)
		if err != nil {
			return err
		}
		input.reportProgress(cmd)
		options.Options = input.options
		result, err := generate(set, to, options)
		if err != nil {
			return err
		}
		return writeGenerated(cmd, result, out, *format)
	}
	return cmd
}

func generate(set *objects.Set, to string, options rbac.GenerateOptions) (generated, error) {
	if to == toEdge {
		result, err := rbac.GenerateEdge(set, options)
		return generated{result, result.Differences, []byte(result.Documents)}, err
	}
	result, err := rbac.GenerateTyk(set, options)
	if err != nil {
		return generated{}, err
	}
	var file bytes.Buffer
	err = printer.JSON(&file, result.Policies)
	return generated{result, result.Differences, file.Bytes()}, err
}

// writeGenerated writes nothing if something is refused.
func writeGenerated(cmd *cobra.Command, result generated, out, format string) error {
	if !result.differences.IsComplete() {
		if err := printAnswer(cmd, result.answer, format); err != nil {
			return err
		}
		return &exitError{code: exitCouldNot, inAnswer: true, err: fmt.Errorf("%d parts cannot be expressed or read: nothing was written", len(result.differences.Unchecked))}
	}
	switch {
	case out != "":
		if err := atomicfile.Write(out, result.file, os.FileMode(0o644)); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "wrote %s\n", out)
		return printAnswer(cmd, result.answer, format)
	case format == "json":
		return printAnswer(cmd, result.answer, format)
	}
	var differences strings.Builder
	if err := result.answer.Print(&differences); err != nil {
		return err
	}
	if err := printer.Text(cmd.ErrOrStderr(), differences.String()); err != nil {
		return err
	}
	return printText(cmd, func(to io.Writer) error {
		_, err := to.Write(result.file)
		return err
	})
}
