package expr

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/overloads"
)

// Reads are the attributes that an expression looks at. A record must hold them, so that
// the decision can be made again.
type Reads struct {
	Claims   map[string]bool // dotted names, as in tctx.tenant
	Headers  map[string]bool // lower-case names
	Captures map[string]bool // of the path; true: some use of it is guarded by has()
	Port     bool
	Host     bool
}

// secretHeaders may not be read by a rule, because records hold what a rule reads.
var secretHeaders = []string{"authorization", "proxy-authorization", "cookie", "txn-token"}

// forgeableHeaders name what a proxy or a gateway knows, but any client can write them.
// A rule that trusts them trusts the client.
var forgeableHeaders = []string{"x-forwarded-", "x-envoy-", "x-original-", "x-rewrite-", "x-meshpass-", "x_meshpass_"}

// reader walks a checked expression and collects what it reads. It rejects reads and
// literals that no document may have.
type reader struct {
	reads   Reads
	regexes regexes
	matches int // calls of matches()
}

func newReader() *reader {
	return &reader{reads: Reads{Claims: map[string]bool{}, Headers: map[string]bool{}, Captures: map[string]bool{}}, regexes: regexes{}}
}

// visit follows members as deep as they are named. A header must be named by a literal,
// as there is no end to them.
func (r *reader) visit(e ast.Expr) error {
	if variable, members, guard, ok := parseChain(e); ok {
		return r.addRead(variable, members, guard)
	}
	for _, check := range []func(ast.Expr) error{r.checkRegex, checkComparison, checkTimeZone} {
		if err := check(e); err != nil {
			return err
		}
	}
	for _, part := range subexpressions(e) {
		if err := r.visit(part); err != nil {
			return err
		}
	}
	return nil
}

var errPatternNotLiteral = errors.New(`matches() with a pattern that is not written out: write it as a text, as in claims.sub.matches("^idp:")`)

// checkRegex rejects regular expressions that are not in the document: to compile one
// that a client chose can cost a tenth of a second.
func (r *reader) checkRegex(e ast.Expr) error {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != overloads.Matches {
		return nil
	}
	args := e.AsCall().Args()
	pattern, literal := textLiteral(args[len(args)-1])
	if !literal {
		return errPatternNotLiteral
	}
	size, err := measureRegex(pattern)
	if err != nil {
		return err
	}
	r.regexes[pattern] = size
	r.matches++
	return nil
}

func (r *reader) addRead(variable string, members []string, guard bool) error {
	root, claim, _ := strings.Cut(variable, ".")
	switch {
	case variable == "request.headers":
		return r.addHeader(members)
	case variable == "request.port":
		r.reads.Port = true
	case variable == "request.host":
		r.reads.Host = true
	case variable == "path":
		if len(members) == 0 {
			return fmt.Errorf("path is used as a whole: name the capture, as in path.tenant")
		}
		r.reads.Captures[members[0]] = r.reads.Captures[members[0]] || guard
	case root == "claims" && claim != "":
		r.reads.Claims[strings.Join(append([]string{claim}, members...), ".")] = true
	}
	return nil // the rest is in every record, or is a variable of a macro
}

func (r *reader) addHeader(members []string) error {
	if len(members) == 0 {
		return fmt.Errorf(`request.headers is used as a whole: name the header, as in request.headers["x-name"]`)
	}
	name := members[0]
	if name != strings.ToLower(name) {
		return fmt.Errorf("header %q: write %q, names are lower-case here", name, strings.ToLower(name))
	}
	if slices.Contains(secretHeaders, name) {
		return fmt.Errorf("header %q may not be read: it is a credential, and records hold what rules read", name)
	}
	forgeable := slices.ContainsFunc(forgeableHeaders, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	if forgeable || name == "forwarded" || name == "x-real-ip" {
		return fmt.Errorf("header %q may not be read: any client can write it; use caller, claims or request.host", name)
	}
	if strings.HasPrefix(name, ":") || name == "host" {
		return fmt.Errorf("header %q may not be read: use request.method, request.path or request.host", name)
	}
	r.reads.Headers[name] = true
	return nil
}
