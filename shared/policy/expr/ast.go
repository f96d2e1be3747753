package expr

import (
	"slices"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
)

// parseChain recognises variable.member.member, variable["member"] and "member" in
// variable, and gives the variable's name and the members. A guard tests whether the last
// member is present, by has() or by in.
func parseChain(e ast.Expr) (variable string, members []string, guard, ok bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent(), nil, false, true
	case ast.SelectKind:
		variable, members, _, ok = parseChain(e.AsSelect().Operand())
		return variable, append(members, e.AsSelect().FieldName()), e.AsSelect().IsTestOnly(), ok
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
		member, literal := textLiteral(key)
		if !literal {
			return "", nil, false, false
		}
		variable, members, _, ok = parseChain(container)
		membership := call.FunctionName() == operators.In
		if membership && strings.HasPrefix(variable, "claims.") && len(members) > 0 {
			return variable, members, false, ok // the container may be a list: its entries decide
		}
		return variable, append(members, member), membership, ok
	}
	return "", nil, false, false
}

// claimOf is the dotted claim that e reads; empty: it reads no claim.
func claimOf(e ast.Expr) string {
	variable, members, guard, ok := parseChain(e)
	claim, isClaim := strings.CutPrefix(variable, "claims.")
	if !ok || guard || !isClaim || isMembership(e) {
		return ""
	}
	return strings.Join(append([]string{claim}, members...), ".")
}

// optionalMemberOf is the member of tctx or rctx that e is, maybe within dyn(); empty: e is
// something else.
func optionalMemberOf(e ast.Expr) string {
	if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == "dyn" {
		return optionalMemberOf(e.AsCall().Args()[0])
	}
	name := claimOf(e)
	if !IsOptionalMember(name) {
		return ""
	}
	return name
}

// guardedClaim is the claim whose presence e tests, by has() or by "name" in claims.tctx.
func guardedClaim(e ast.Expr) (claim string, isGuard bool) {
	variable, members, guard, ok := parseChain(e)
	claim, isClaim := strings.CutPrefix(variable, "claims.")
	if !ok || !guard || !isClaim {
		return "", false
	}
	return strings.Join(append([]string{claim}, members...), "."), true
}

// memberOfType is the member whose kind e reads with type(); empty: e is something else.
func memberOfType(e ast.Expr) string {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != "type" {
		return ""
	}
	return optionalMemberOf(e.AsCall().Args()[0])
}

func isMembership(e ast.Expr) bool {
	return e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.In
}

func textLiteral(e ast.Expr) (text string, isText bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	text, isText = e.AsLiteral().Value().(string)
	return text, isText
}

func boolLiteral(e ast.Expr) (value, isBool bool) {
	if e.Kind() != ast.LiteralKind {
		return false, false
	}
	value, isBool = e.AsLiteral().Value().(bool)
	return value, isBool
}

// isLiteral reports a literal, or a list of literals.
func isLiteral(e ast.Expr) bool {
	return e.Kind() == ast.LiteralKind || e.Kind() == ast.ListKind && !slices.ContainsFunc(e.AsList().Elements(), func(part ast.Expr) bool { return !isLiteral(part) })
}

// hasLoop finds all(), exists(), map() and the other macros.
func hasLoop(e ast.Expr) bool {
	return e.Kind() == ast.ComprehensionKind || slices.ContainsFunc(subexpressions(e), hasLoop)
}

func subexpressions(e ast.Expr) []ast.Expr {
	switch e.Kind() {
	case ast.CallKind:
		return operandsOf(e.AsCall())
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

// operandsOf are the arguments of a call, and the value whose method it is.
func operandsOf(call ast.CallExpr) []ast.Expr {
	list := slices.Clone(call.Args())
	if call.IsMemberFunction() {
		list = append(list, call.Target())
	}
	return list
}
