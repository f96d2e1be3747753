package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/routes"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
)

func newRoutesExplain() *cobra.Command {
	var input systemInput
	var requests, host string
	var headers []string
	cmd := &cobra.Command{
		Use: "explain -f FILE | -k DIR | --context NAME (METHOD PATH | --requests FILE) [flags]", Short: "Show which upstream gets a request, by the definitions",
		Long: `Shows what the Tyk gateway does with a request by its definitions: which API takes it, and
which upstream gets it under which path, or why none does. Authentication, rights and
limits are no part of it. --requests reads one JSON object a line:
{"method": "GET", "host": "shop.example", "target": "/orders/7?x=1", "headers": {"X-Version": "v2"}}.

Exit codes: 0 every request reaches an upstream; 1 a request reaches none, or the
definitions do not determine it; 2 something could not be read.`,
		Example: `  meshpass routes explain -f apis/ -f tyk.conf GET /orders/7
  meshpass routes explain -f apis/ --host shop.example --header "X-Version: v2" GET /orders/7 -o json`,
	}
	input.addFlags(cmd)
	addText(cmd, &host, "host", "NAME", "the host of the request")
	addList(cmd, &headers, "header", "NAME:VALUE", "a header of the request")
	addText(cmd, &requests, "requests", "FILE", "a file with requests, or - for standard input")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := input.validate(cmd); err != nil {
			return err
		}
		var asked []tykroute.Request
		switch {
		case requests == "" && len(args) == 2:
			r := tykroute.Request{Method: args[0], Host: host, Target: args[1], Header: http.Header{}}
			for _, text := range headers {
				name, value, found := strings.Cut(text, ":")
				if !found {
					return newUsageError(cmd, "want --header NAME:VALUE")
				}
				r.Header.Add(textproto.TrimString(name), textproto.TrimString(value))
			}
			asked = append(asked, r)
		case requests != "" && len(args) == 0:
			if err := checkStdin(cmd, append(append([]string{}, input.files...), requests)...); err != nil {
				return err
			}
			var err error
			if asked, err = readRequests(cmd, requests); err != nil {
				return err
			}
		default:
			return newUsageError(cmd, "want METHOD PATH, or --requests FILE")
		}
		set, err := input.read(cmd)
		if err != nil {
			return err
		}
		explained := routes.Explain(model.New(set), asked)
		if err := printAnswer(cmd, explained, *format); err != nil {
			return err
		}
		return exitFor(explained.Passes(), len(explained.Unchecked), notChecked)
	}
	return cmd
}

func readRequests(cmd *cobra.Command, name string) ([]tykroute.Request, error) {
	file, err := openInput(cmd, name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	var all []tykroute.Request
	for {
		var line struct {
			Method, Host, Target string
			Headers              map[string]string
		}
		err := decoder.Decode(&line)
		switch {
		case errors.Is(err, io.EOF) && len(all) == 0:
			return nil, fmt.Errorf("%s: it has no request; write one JSON object a line, such as {\"method\": \"GET\", \"target\": \"/orders/7\"}", documentName(name))
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("%s: request %d: %w", documentName(name), len(all)+1, err)
		case line.Method == "" || line.Target == "":
			return nil, fmt.Errorf("%s: request %d: want method and target", documentName(name), len(all)+1)
		}
		r := tykroute.Request{Method: line.Method, Host: line.Host, Target: line.Target, Header: http.Header{}}
		for name, value := range line.Headers {
			r.Header.Set(name, value)
		}
		all = append(all, r)
	}
}
