package main

import (
	"errors"
	"flag"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/app"
	"github.com/meshpass/meshpass/extauthz/policycli/explain"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/token"
)

const policyExplainUsage = `usage: meshpass policy explain DIR... --callee WORKLOAD [FLAGS]
       meshpass policy explain DIR... --check FILE [FLAGS]
       meshpass policy explain DIR... --record FILE [--id ID] [FLAGS]

Says how documents decide a request: which of them guard the callee, what each
condition of each rule evaluates to, and why the answer is what it is.

  --callee WORKLOAD           who is called, as in targets
  --caller WORKLOAD           who calls; none: nobody can have a name; default: not known
  --method GET  --path /      what is asked
  --host NAME  --port N  --header NAME=VALUE   may be given again
  --claims JSON               of a token that verifies, as its payload has them
  --no-token REASON           or why there are none; default token_missing
  --check FILE                a CheckRequest in JSON, of a sidecar; the flags above go
                              before what it says. The claims of its token are not
                              verified, but with --config FILE, of meshpass serve
  --record FILE               audit records, one a line
  --id ID                     of the record, the request or the transaction
  --now TIME                  RFC 3339; default: now, or the record's
  --unguarded deny            or shadow: policies.unguarded of the configuration
  -o json                     print it as JSON

FILE may be -, standard input.
` + policyFlagsUsage + `
exit codes: 0 let in; 1 refused; 2 could not do it
`

// explainFlags are those of explain alone.
type explainFlags struct {
	explain.Asked
	check, config, record, id string
}

func (c command) policyExplain(args []string) int {
	c.usage = policyExplainUsage
	f := newPolicyFlags("explain")
	f.unguarded()
	var e explainFlags
	e.add(f.FlagSet)
	if code, ok := c.parsePolicy(f, args); !ok {
		return code
	}
	switch {
	case e.check != "" && e.record != "":
		return c.misused("--check and --record: which of them?")
	case e.config != "" && e.check == "":
		return c.misused("--config verifies the token of --check")
	case e.id != "" && e.record == "":
		return c.misused("--id chooses among those of --record")
	}
	set, err := f.Source.Set()
	if err != nil {
		return c.failed(err)
	}
	questions, err := c.questions(e, f.Domains, set)
	if err != nil {
		return c.failed(err)
	}
	var report explain.Report
	for _, q := range questions {
		report.Explanations = append(report.Explanations, explain.Explain(set, q))
	}
	return c.told(report, report.Print, f.format, report.OK())
}

func (e *explainFlags) add(flags *flag.FlagSet) {
	e.Headers = map[string]string{}
	for name, value := range map[string]*string{
		"caller": &e.Caller, "callee": &e.Callee, "method": &e.Method, "path": &e.Path, "host": &e.Host, "claims": &e.Claims, "no-token": &e.NoToken,
		"check": &e.check, "config": &e.config, "record": &e.record, "id": &e.id,
	} {
		flags.StringVar(value, name, "", "")
	}
	flags.UintVar(&e.Port, "port", 0, "")
	flags.Func("header", "", func(text string) error {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return errors.New("want NAME=VALUE")
		}
		e.Headers[strings.ToLower(name)] = value
		return nil
	})
	flags.Func("now", "", func(text string) (err error) {
		e.Now, err = time.Parse(time.RFC3339, text)
		return err
	})
}

func (c command) questions(e explainFlags, domains identity.TrustDomains, set *policy.Set) ([]explain.Question, error) {
	now := time.Now()
	if !e.Now.IsZero() {
		now = e.Now
	}
	if e.check == "" && e.record == "" {
		q, err := e.FromFlags(domains, now)
		return []explain.Question{q}, err
	}
	from, err := c.opened(e.check + e.record)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	if e.record != "" {
		return explain.FromRecords(from, e.id, set)
	}
	verify, err := e.verify(now, c.warnings())
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(from, maxCheck))
	if err != nil {
		return nil, err
	}
	q, err := e.FromCheck(data, domains, verify, now)
	return []explain.Question{q}, err
}

// maxCheck is more than Envoy sends, bodies included.
const maxCheck = 16 << 20

// verify is nil without a configuration.
func (e explainFlags) verify(now time.Time, log *slog.Logger) (explain.Verify, error) {
	if e.config == "" {
		return nil, nil
	}
	verifier, err := app.Verifier(e.config, func() time.Time { return now }, log)
	return func(raw string) (*identity.Claims, decision.Reason) {
		claims, err := verifier.Verify(raw)
		if err != nil {
			return nil, token.ReasonOf(err)
		}
		return claims, ""
	}, err
}

// opened is a file, or standard input for -.
func (c command) opened(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(c.stdin), nil
	}
	return os.Open(name)
}
