// Package expr compiles and evaluates the CEL expressions of rules (the field when).
//
// [Compile] type-checks an expression and rejects one whose decision no record could
// hold. [Expression.Eval] evaluates it over [Vars] within bounds of cost; an error means
// that the condition is undecided. [Expression.Reads] and [Expression.Members] list what
// an expression reads, for records and warnings.
package expr

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/interpreter"

	"github.com/meshpass/meshpass/shared/identity"
)

// maxCost bounds one evaluation in CEL's own units, roughly one for each value
// that is read; an evaluation that exceeds it is undecided. Only expressions that
// loop or have several regular expressions are metered, because the meter costs as
// much again as the evaluation: any other expression reads each value as often as
// it is written, and a single match has a bound of its own (see [maxMatchSteps]).
const maxCost = 10_000

// Expression is a compiled CEL condition. It never changes.
type Expression struct {
	text     string
	program  cel.Program
	reads    Reads
	members  Members
	regexes  regexes
	compared []Constant
}

// Compile rejects an expression that does not type-check to a bool, and one that would
// be decided by a value that no record of the decision could hold. The error explains what
// to write.
func Compile(text string) (*Expression, error) {
	env, err := environment()
	if err != nil {
		return nil, err
	}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, explainIssues(text, issues)
	}
	if !checked.OutputType().IsExactType(cel.BoolType) {
		return nil, fmt.Errorf("its type is %s, not bool: compare the value, as in claims.tctx.admin == true", checked.OutputType())
	}
	root := checked.NativeRep().Expr()
	found := newReader()
	if err := found.visit(root); err != nil {
		return nil, err
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), cel.CustomDecorator(found.regexes.replaceMatches)}
	if hasLoop(root) || found.matches > 1 {
		options = append(options, cel.CostLimit(maxCost), cel.CostTracking(found.regexes))
	}
	program, err := env.Program(checked, options...)
	if err != nil {
		return nil, err
	}
	return &Expression{text: text, program: program, reads: found.reads, members: analyseMembers(root), regexes: found.regexes, compared: findConstants(root)}, nil
}

// Text is the expression as the document writes it.
func (e *Expression) Text() string { return e.text }

// Reads are the attributes that the expression looks at. Do not change the maps.
func (e *Expression) Reads() Reads { return e.reads }

// Members describes how the expression reads members of claims that may be missing or of
// another kind. Do not change the maps.
func (e *Expression) Members() Members { return e.members }

// Constants are the texts and numbers that values are compared with. Do not change the list.
func (e *Expression) Constants() []Constant { return e.compared }

// LongestTexts gives, for each regular expression, the length in bytes of the longest
// text that it is matched with.
func (e *Expression) LongestTexts() map[string]int {
	longest := make(map[string]int, len(e.regexes))
	for pattern, size := range e.regexes {
		longest[pattern] = longestText(size)
	}
	return longest
}

// Eval evaluates the expression. An error, such as a missing claim or too high a cost,
// means that nothing can be decided.
func (e *Expression) Eval(vars *Vars) (bool, error) {
	value, _, err := e.program.Eval(vars)
	if err != nil {
		return false, err
	}
	matched, isBool := value.Value().(bool)
	if !isBool {
		return false, errors.New("no bool")
	}
	return matched, nil
}

// environment declares the names that an expression may use. The members of claims and
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

// Vars are the values of the variables that [environment] declares.
type Vars struct {
	Caller, Callee     identity.Workload // an empty Caller is not known, and has no value
	Now                time.Time
	Captures           map[string]string // of the path
	Method, Path, Host string
	Port               uint32
	Headers            map[string]string // lower-case names
	Claims             *identity.Claims  // of a verified token; nil: no claim has a value
}

var _ interpreter.Activation = (*Vars)(nil)

// Parent implements [interpreter.Activation]: there is no outer scope.
func (v *Vars) Parent() interpreter.Activation { return nil }

// ResolveName implements [interpreter.Activation].
func (v *Vars) ResolveName(name string) (any, bool) {
	switch name {
	case "caller":
		return string(v.Caller), v.Caller != ""
	case "callee":
		return string(v.Callee), true
	case "now":
		return v.Now, true
	case "path":
		return v.Captures, true
	case "request.method":
		return v.Method, true
	case "request.path":
		return v.Path, true
	case "request.host":
		return v.Host, true
	case "request.port":
		return int64(v.Port), true
	case "request.headers":
		return v.Headers, true
	}
	const claims = "claims."
	if v.Claims == nil || len(name) <= len(claims) {
		return nil, false
	}
	return v.Claims.Lookup(name[len(claims):])
}
