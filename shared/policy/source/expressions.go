package source

import (
	"sync"

	"github.com/meshpass/meshpass/shared/policy/expr"
)

// expressions compiles each text once in a load, unless an earlier load did. An expression costs
// more than the rest of a rule.
type expressions struct {
	known map[string]*expr.Expression // by their text; not written

	fresh sync.Map // of text to func() (*expr.Expression, error)
}

func (e *expressions) compile(text string) (*expr.Expression, error) {
	if known := e.known[text]; known != nil {
		return known, nil
	}
	once, _ := e.fresh.LoadOrStore(text, sync.OnceValues(func() (*expr.Expression, error) { return expr.Compile(text) }))
	return once.(func() (*expr.Expression, error))()
}
