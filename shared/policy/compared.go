package policy

import (
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
)

// comparison says how an expression compares a claim whose kind it does not know.
// In CEL values of different kinds are unequal, which is no error.
type comparison struct {
	equal   bool // it must equal something for the expression to hold
	unequal bool // it must not
	typed   bool // the expression also asks for its type
}

// compare notes comparisons of members of tctx and rctx below e; negated says that
// e stands below an odd number of negations. Where that is not certain, as in the
// condition of ? :, both are noted.
func (r *reads) compare(e ast.Expr, negated bool) {
	if e.Kind() != ast.CallKind {
		for _, part := range parts(e) {
			r.compare(part, negated)
		}
		return
	}
	call := e.AsCall()
	args := call.Args()
	switch call.FunctionName() {
	case operators.LogicalNot:
		r.compare(args[0], !negated)
		return
	case operators.Conditional:
		r.compare(args[0], false)
		r.compare(args[0], true)
		r.compare(args[1], negated)
		r.compare(args[2], negated)
		return
	case "type":
		r.noteComparison(args[0], func(c *comparison) { c.typed = true })
	case operators.Equals, operators.NotEquals:
		unequal := (call.FunctionName() == operators.NotEquals) != negated
		for _, side := range args {
			r.noteComparison(side, func(c *comparison) { c.equal, c.unequal = c.equal || !unequal, c.unequal || unequal })
		}
	case operators.In:
		r.noteComparison(args[0], func(c *comparison) { c.equal, c.unequal = c.equal || !negated, c.unequal || negated })
	}
	for _, part := range parts(e) {
		r.compare(part, negated)
	}
}

// noteComparison changes the entry of the claim that e names, if it names one.
func (r *reads) noteComparison(e ast.Expr, change func(*comparison)) {
	variable, path, guard, ok := chain(e)
	member, isClaim := strings.CutPrefix(variable, "claims.")
	if !ok || guard || !isClaim || len(path) == 0 {
		return
	}
	name := strings.Join(append([]string{member}, path...), ".")
	c := r.compared[name]
	change(&c)
	r.compared[name] = c
}
