package expr

import (
	"strconv"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
)

// Constant is a text or a number in an expression that a value is compared with.
type Constant struct {
	Name   string // the value, such as caller, request.port, claims.sub or claims.tctx.plan
	Text   string // a number is written in decimal
	Prefix bool   // it is compared with the beginning of the value, by startsWith
}

// findConstants finds comparisons with ==, != and startsWith, and lists of in.
func findConstants(e ast.Expr) (all []Constant) {
	if e.Kind() == ast.CallKind {
		call := e.AsCall()
		args := call.Args()
		switch {
		case (call.FunctionName() == operators.Equals || call.FunctionName() == operators.NotEquals) && len(args) == 2:
			all = append(constantsOf(args[0], args[1], false), constantsOf(args[1], args[0], false)...)
		case call.FunctionName() == operators.In && args[1].Kind() == ast.ListKind:
			for _, element := range args[1].AsList().Elements() {
				all = append(all, constantsOf(args[0], element, false)...)
			}
		case call.FunctionName() == "startsWith" && call.IsMemberFunction() && len(args) == 1:
			all = constantsOf(call.Target(), args[0], true)
		}
	}
	for _, part := range subexpressions(e) {
		all = append(all, findConstants(part)...)
	}
	return all
}

func constantsOf(value, constant ast.Expr, prefix bool) []Constant {
	variable, members, guard, ok := parseChain(value)
	if !ok || guard || isMembership(value) || constant.Kind() != ast.LiteralKind {
		return nil
	}
	name := strings.Join(append([]string{variable}, members...), ".")
	switch literal := constant.AsLiteral().Value().(type) {
	case string:
		return []Constant{{name, literal, prefix}}
	case int64:
		return []Constant{{name, strconv.FormatInt(literal, 10), prefix}}
	}
	return nil
}
