package source

import (
	"slices"

	"github.com/meshpass/meshpass/shared/policy/expr"
)

// expression is a compiled expression, or the error of its compilation.
type expression struct {
	expression *expr.Expression
	err        error
}

// compileExpressions compiles each text once, unless it is known. An expression costs more
// than the rest of a rule.
func compileExpressions(texts []string, known map[string]*expr.Expression) map[string]expression {
	slices.Sort(texts)
	texts = slices.Compact(texts)
	all := make(map[string]expression, len(texts))
	var fresh []string
	for _, text := range texts {
		if e := known[text]; e != nil {
			all[text] = expression{expression: e}
		} else {
			fresh = append(fresh, text)
		}
	}
	results := make([]expression, len(fresh))
	forEach(len(fresh), func(i int) { results[i].expression, results[i].err = expr.Compile(fresh[i]) })
	for i, text := range fresh {
		all[text] = results[i]
	}
	return all
}
