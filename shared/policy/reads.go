package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
)

// reads are the attributes that a document looks at: what an audit record must
// hold for the decision to be made again.
type reads struct {
	claims   map[string]bool       // dotted names, as in tctx.tenant
	headers  map[string]bool       // lower-case names
	captures map[string]bool       // true: some use of it is guarded by has()
	compared map[string]comparison // members of tctx and rctx that are compared with == and !=, and by in
	// Members of tctx and rctx that are there wherever the expression holds, and those
	// that it reads without being sure of that.
	assured, unguarded map[string]bool
	port               bool
	noCaller           bool
	host               bool // stands in every record, and makes one that can be read in two ways a denial

	regexes regexes // of this expression
	matches int     // calls of matches()
}

func newReads() reads {
	return reads{claims: map[string]bool{}, headers: map[string]bool{}, captures: map[string]bool{}, compared: map[string]comparison{}, unguarded: map[string]bool{}, regexes: regexes{}}
}

func (r *reads) add(other reads) {
	for name := range other.claims {
		r.claims[name] = true
	}
	for name := range other.headers {
		r.headers[name] = true
	}
	r.port = r.port || other.port
	r.noCaller = r.noCaller || other.noCaller
	r.host = r.host || other.host
}

// secretHeaders may not be read by a rule, because what a rule reads is recorded.
var secretHeaders = []string{"authorization", "proxy-authorization", "cookie", "txn-token"}

// forgedHeaders say what a proxy or a gateway knows, but any client can write them.
// Who trusts them trusts the client.
var forgedHeaders = []string{"x-forwarded-", "x-envoy-", "x-original-", "x-rewrite-", "x-meshpass-", "x_meshpass_"}

// readsOf walks a checked expression. Members are followed as deep as they are
// named; a header must be named by a literal, as there is no end to them.
func readsOf(checked *cel.Ast) (reads, error) {
	r := newReads()
	err := r.visit(checked.NativeRep().Expr())
	r.examine(checked.NativeRep().Expr())
	return r, err
}

func (r *reads) visit(e ast.Expr) error {
	if name, path, guard, ok := chain(e); ok {
		return r.note(name, path, guard)
	}
	for _, check := range []func(ast.Expr) error{r.noteRegex, checkComparison, checkZone} {
		if err := check(e); err != nil {
			return err
		}
	}
	for _, part := range parts(e) {
		if err := r.visit(part); err != nil {
			return err
		}
	}
	return nil
}

var errPatternNotLiteral = errors.New(`matches() with a pattern that is not written out: write it as a text, as in claims.sub.matches("^idp:")`)

// noteRegex rejects regular expressions that are not in the document: to compile one
// that a client chose can cost a tenth of a second.
func (r *reads) noteRegex(e ast.Expr) error {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != overloads.Matches {
		return nil
	}
	args := e.AsCall().Args()
	pattern, literal := textOf(args[len(args)-1])
	if !literal {
		return errPatternNotLiteral
	}
	size, err := newRegex(pattern)
	if err != nil {
		return err
	}
	r.regexes[pattern] = size
	r.matches++
	return nil
}

// chain recognises variable.member.member, variable["member"] and "member" in
// variable, and gives the variable's name and the members.
func chain(e ast.Expr) (name string, path []string, guard, ok bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent(), nil, false, true
	case ast.SelectKind:
		name, path, _, ok = chain(e.AsSelect().Operand())
		return name, append(path, e.AsSelect().FieldName()), e.AsSelect().IsTestOnly(), ok
	case ast.CallKind:
		call := e.AsCall()
		if len(call.Args()) != 2 {
			return "", nil, false, false
		}
		container, key := call.Args()[0], call.Args()[1]
		if call.FunctionName() == operators.In {
			container, key = key, container
		} else if call.FunctionName() != operators.Index {
			return "", nil, false, false
		}
		member, literal := textOf(key)
		if !literal {
			return "", nil, false, false
		}
		name, path, _, ok = chain(container)
		membership := call.FunctionName() == operators.In
		if membership && strings.HasPrefix(name, "claims.") && len(path) > 0 {
			return name, path, false, ok // the container may be a list: its entries decide
		}
		return name, append(path, member), membership, ok
	}
	return "", nil, false, false
}

func textOf(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	text, ok := e.AsLiteral().Value().(string)
	return text, ok
}

func parts(e ast.Expr) []ast.Expr {
	switch e.Kind() {
	case ast.CallKind:
		call := e.AsCall()
		list := slices.Clone(call.Args())
		if call.IsMemberFunction() {
			list = append(list, call.Target())
		}
		return list
	case ast.SelectKind:
		return []ast.Expr{e.AsSelect().Operand()}
	case ast.ListKind:
		return e.AsList().Elements()
	case ast.MapKind:
		var list []ast.Expr
		for _, entry := range e.AsMap().Entries() {
			list = append(list, entry.AsMapEntry().Key(), entry.AsMapEntry().Value())
		}
		return list
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		return []ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()}
	}
	return nil
}

// loops finds all(), exists(), map() and the like.
func loops(e ast.Expr) bool {
	return e.Kind() == ast.ComprehensionKind || slices.ContainsFunc(parts(e), loops)
}

func (r *reads) note(variable string, path []string, guard bool) error {
	root, member, _ := strings.Cut(variable, ".")
	switch {
	case variable == "request.headers":
		return r.noteHeader(path)
	case variable == "request.port":
		r.port = true
	case variable == "request.host":
		r.host = true
	case variable == "path":
		if len(path) == 0 {
			return fmt.Errorf("path is used as a whole: name the capture, as in path.tenant")
		}
		r.captures[path[0]] = r.captures[path[0]] || guard
	case root == "claims" && member != "":
		claim := strings.Join(append([]string{member}, path...), ".")
		r.claims[claim] = true
	}
	return nil // the rest stands in every record, or is a variable of a macro
}

func (r *reads) noteHeader(path []string) error {
	if len(path) == 0 {
		return fmt.Errorf(`request.headers is used as a whole: name the header, as in request.headers["x-name"]`)
	}
	name := path[0]
	if name != strings.ToLower(name) {
		return fmt.Errorf("header %q: write %q, names are lower-case here", name, strings.ToLower(name))
	}
	if slices.Contains(secretHeaders, name) {
		return fmt.Errorf("header %q may not be read: what rules read is recorded, and it is a credential", name)
	}
	forged := slices.ContainsFunc(forgedHeaders, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	if forged || name == "forwarded" || name == "x-real-ip" {
		return fmt.Errorf("header %q may not be read: any client can write it; caller, claims and request.host are what is known", name)
	}
	if strings.HasPrefix(name, ":") || name == "host" {
		return fmt.Errorf("header %q may not be read: use request.method, request.path or request.host", name)
	}
	r.headers[name] = true
	return nil
}
