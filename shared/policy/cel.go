package policy

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/interpreter"
)

// maxCost bounds one evaluation in CEL's own units, roughly one for each value
// that is read; an evaluation that exceeds it is undecided. Only expressions that
// loop or have several regular expressions are metered, because the meter costs as
// much again as the evaluation: any other expression reads each value as often as
// it is written, and a single match has a bound of its own (see [maxMatchSteps]).
const maxCost = 10_000

// environment declares what an expression may name. The members of claims and
// request are variables of their own, so that a misspelt one does not compile.
// There are no functions beyond CEL's standard ones, which read neither clock
// nor network.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	object := cel.MapType(cel.StringType, cel.DynType)
	texts := cel.MapType(cel.StringType, cel.StringType)
	return cel.NewEnv(
		cel.ASTValidators(cel.ValidateTimestampLiterals(), cel.ValidateDurationLiterals()),
		cel.Variable("caller", cel.StringType),
		cel.Variable("callee", cel.StringType),
		cel.Variable("now", cel.TimestampType),
		cel.Variable("path", texts),
		cel.Variable("request.method", cel.StringType),
		cel.Variable("request.path", cel.StringType),
		cel.Variable("request.host", cel.StringType),
		cel.Variable("request.port", cel.IntType),
		cel.Variable("request.headers", texts),
		cel.Variable("claims.iss", cel.StringType),
		cel.Variable("claims.aud", cel.StringType),
		cel.Variable("claims.sub", cel.StringType),
		cel.Variable("claims.txn", cel.StringType),
		cel.Variable("claims.scope", cel.StringType),
		cel.Variable("claims.req_wl", cel.StringType),
		cel.Variable("claims.tctx", object),
		cel.Variable("claims.rctx", object),
	)
})

// expression is a compiled CEL condition and what it reads.
type expression struct {
	text    string
	program cel.Program
	reads   reads
}

// compileExpression refuses what does not type-check to a bool, and what would
// be decided by something that no record of the decision could hold.
func compileExpression(text string) (*expression, error) {
	env, err := environment()
	if err != nil {
		return nil, err
	}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, issueError(text, issues)
	}
	if !checked.OutputType().IsExactType(cel.BoolType) {
		return nil, fmt.Errorf("its type is %s, not bool: compare the value, as in claims.tctx.admin == true", checked.OutputType())
	}
	found, err := readsOf(checked)
	if err != nil {
		return nil, err
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), cel.CustomDecorator(found.regexes.bound)}
	if loops(checked.NativeRep().Expr()) || found.matches > 1 {
		options = append(options, cel.CostLimit(maxCost), cel.CostTracking(found.regexes))
	}
	program, err := env.Program(checked, options...)
	if err != nil {
		return nil, err
	}
	return &expression{text: text, program: program, reads: found}, nil
}

type compiledExpression struct {
	*expression
	err error
}

// compileExpressions compiles each text that is not known once: an expression costs
// more than all else in a rule.
func compileExpressions(texts []string, known map[string]*expression) map[string]compiledExpression {
	slices.Sort(texts)
	texts = slices.Compact(texts)
	all := make(map[string]compiledExpression, len(texts))
	var fresh []string
	for _, text := range texts {
		if e := known[text]; e != nil {
			all[text] = compiledExpression{expression: e}
		} else {
			fresh = append(fresh, text)
		}
	}
	results := make([]compiledExpression, len(fresh))
	each(len(fresh), func(i int) { results[i].expression, results[i].err = compileExpression(fresh[i]) })
	for i, text := range fresh {
		all[text] = results[i]
	}
	return all
}

// each calls do for 0 to n-1, on all processors but one: decisions go on meanwhile.
func each(n int, do func(int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(n, max(1, runtime.GOMAXPROCS(0)-1)) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		}()
	}
	workers.Wait()
}

// condition binds the captures of the path by which the rule was found.
func (e *expression) condition() condition {
	return condition{"when", e.text, func(p *pattern, s *subject) verdict {
		verdict, _ := e.eval(p, s)
		return verdict
	}}
}

var errUnbound = errors.New("no path of the rule matches for certain, so nothing is captured")

// eval gives the reason too where nothing can be decided.
func (e *expression) eval(p *pattern, s *subject) (verdict, error) {
	a := activation{subject: s}
	if len(e.reads.captures) > 0 {
		if p == nil {
			return undecided, errUnbound
		}
		a.captures = p.bind(s.segments)
	}
	value, _, err := e.program.Eval(&a)
	if err != nil {
		return undecided, err
	}
	matched, isBool := value.Value().(bool)
	if !isBool {
		return undecided, errors.New("no bool")
	}
	return verdictOf(matched), nil
}

// activation resolves the variables of [environment]; without a token, none of claims.
type activation struct {
	*subject
	captures map[string]string
}

var _ interpreter.Activation = (*activation)(nil)

func (a *activation) Parent() interpreter.Activation { return nil }

func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case "caller":
		return string(a.Caller), a.Caller != ""
	case "callee":
		return string(a.Callee), true
	case "now":
		return a.Now, true
	case "path":
		return a.captures, true
	case "request.method":
		return a.Method, true
	case "request.path":
		return a.Path, true
	case "request.host":
		return a.host, true
	case "request.port":
		return int64(a.Port), true
	case "request.headers":
		return a.Headers, true
	}
	const claims = "claims."
	if a.claims == nil || len(name) <= len(claims) {
		return nil, false
	}
	return a.claims.Lookup(name[len(claims):])
}
