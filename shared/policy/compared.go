package policy

import (
	"maps"
	"slices"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
)

// comparison says how an expression compares a claim whose kind is not certain where
// it does so. In CEL values of different kinds are unequal, which is no error.
type comparison struct {
	equal       bool // it must equal something for the expression to hold
	unequal     bool // it must not
	entries     bool // its entries are compared, not the claim itself
	alternative bool // it is one side of ||, or of ? :
	free        bool // it is compared with something that is no literal
}

// facts are what an expression says of the members of tctx and rctx once it has a
// certain value: those that are there, and those that are of a certain kind.
type facts struct{ present, typed map[string]bool }

// surroundings are what is known where a part of an expression is reached.
type surroundings struct {
	polarity polarity
	present  map[string]bool // members that are there, or this part decides nothing
	// Where a member is of another kind than the one that is asked for, the whole
	// expression has this value, whatever this part says.
	elseFalse, elseTrue map[string]bool
	alternative         bool
	entriesOf           map[string]string // variables of macros, and the claim whose entries they are
}

// polarity says whether the expression holds when a part of it does.
type polarity int

const (
	positive polarity = iota
	negative
	anyPolarity // not certain, as below == or in the condition of ? :
)

func (p polarity) not() polarity { return [...]polarity{negative, positive, anyPolarity}[p] }

// examine notes comparisons of members, and reads of members that may be missing.
func (r *reads) examine(e ast.Expr) {
	r.assured = factsOfExpr(e, true).present
	r.look(e, surroundings{entriesOf: map[string]string{}})
}

func (r *reads) look(e ast.Expr, at surroundings) {
	r.noteUnguarded(e, at)
	if _, _, _, ok := chain(e); ok && (!isMembership(e) || memberOf(e.AsCall().Args()[1]) == "") {
		return
	}
	switch e.Kind() {
	case ast.ComprehensionKind:
		r.lookIntoMacro(e.AsComprehension(), at)
		return
	case ast.CallKind:
		r.lookIntoCall(e.AsCall(), at)
		return
	}
	r.lookAtAll(parts(e), at.uncertain())
}

func (r *reads) lookAtAll(list []ast.Expr, at surroundings) {
	for _, part := range list {
		r.look(part, at)
	}
}

func (at surroundings) uncertain() surroundings {
	at.polarity = anyPolarity
	return at
}

func (r *reads) lookIntoCall(call ast.CallExpr, at surroundings) {
	args := call.Args()
	switch call.FunctionName() {
	case operators.LogicalNot:
		at.polarity = at.polarity.not()
		r.look(args[0], at)
		return
	case operators.LogicalAnd, operators.LogicalOr:
		and := call.FunctionName() == operators.LogicalAnd
		for i, side := range args {
			r.look(side, at.beside(args[1-i], and))
		}
		return
	case operators.Conditional:
		r.look(args[0], at.uncertain())
		for i, holds := range []bool{true, false} {
			branch := at
			branch.alternative = true
			branch.know(factsOfExpr(args[0], holds), args[2-i], at.polarity)
			r.look(args[1+i], branch)
		}
		return
	case operators.Equals, operators.NotEquals:
		equals := call.FunctionName() == operators.Equals
		for i, side := range args {
			if value, isBool := boolOf(args[1-i]); isBool { // (a == b) == false
				part := at
				if value != equals {
					part.polarity = at.polarity.not()
				}
				r.look(side, part)
			} else {
				r.look(side, at.uncertain())
			}
			r.noteComparison(side, equals, !isLiteral(args[1-i]), at)
		}
		return
	case operators.In:
		r.noteComparison(args[0], true, !isLiteral(args[1]), at)
		if name := memberOf(args[1]); name != "" {
			r.noteEntries(name, at)
		}
	}
	r.lookAtAll(append(slices.Clone(args), targetOf(call)...), at.uncertain())
}

func targetOf(call ast.CallExpr) []ast.Expr {
	if call.IsMemberFunction() {
		return []ast.Expr{call.Target()}
	}
	return nil
}

// lookIntoMacro follows exists() and all() with their polarity: their steps are
// "accumulator || condition" and "accumulator && condition".
func (r *reads) lookIntoMacro(c ast.ComprehensionExpr, at surroundings) {
	r.lookAtAll([]ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition()}, at.uncertain())
	inner := at
	if name := memberOf(c.IterRange()); name != "" {
		inner.entriesOf = maps.Clone(at.entriesOf)
		inner.entriesOf[c.IterVar()] = name
	}
	r.look(c.LoopStep(), inner)
	r.look(c.Result(), at)
}

// beside is what is known at one side of && or || next to the other side.
func (at surroundings) beside(other ast.Expr, and bool) surroundings {
	// This side matters only where the other one does not decide alone.
	known := factsOfExpr(other, and)
	at.present = union(at.present, known.present)
	decides := at.polarity
	if !and {
		decides = decides.not()
		at.alternative = at.alternative || at.polarity != negative
	} else {
		at.alternative = at.alternative || at.polarity != positive
	}
	at.otherwise(known.typed, decides)
	return at
}

// otherwise notes kinds whose absence makes a conjunction false.
func (at *surroundings) otherwise(typed map[string]bool, p polarity) {
	switch p {
	case positive:
		at.elseFalse = union(at.elseFalse, typed)
	case negative:
		at.elseTrue = union(at.elseTrue, typed)
	}
}

// know adds what the condition of ? : says where it chooses this branch; the other
// branch decides what other kinds mean.
func (at *surroundings) know(known facts, other ast.Expr, p polarity) {
	at.present = union(at.present, known.present)
	if value, isBool := boolOf(other); isBool && p != anyPolarity {
		if value {
			p = p.not()
		}
		at.otherwise(known.typed, p)
	}
}

func union(a, b map[string]bool) map[string]bool {
	if len(b) == 0 {
		return a
	}
	all := maps.Clone(b)
	maps.Copy(all, a)
	return all
}

// factsOfExpr gives what is known where e has the value. Errors are no values: they
// decide nothing, which denies.
func factsOfExpr(e ast.Expr, value bool) facts {
	known := facts{present: map[string]bool{}, typed: map[string]bool{}}
	if name, guard := guardOf(e); guard {
		if value {
			known.present[name] = true
		}
		return known
	}
	if e.Kind() != ast.CallKind {
		return known
	}
	call := e.AsCall()
	args := call.Args()
	switch call.FunctionName() {
	case operators.LogicalNot:
		return factsOfExpr(args[0], !value)
	case operators.LogicalAnd, operators.LogicalOr:
		a, b := factsOfExpr(args[0], value), factsOfExpr(args[1], value)
		if (call.FunctionName() == operators.LogicalAnd) == value {
			return facts{union(a.present, b.present), union(a.typed, b.typed)}
		}
		return facts{common(a.present, b.present), common(a.typed, b.typed)}
	case operators.Equals, operators.NotEquals:
		equal := (call.FunctionName() == operators.Equals) == value
		for i, side := range args {
			other := args[1-i]
			if truth, isBool := boolOf(other); isBool && memberOf(side) == "" {
				return factsOfExpr(side, truth == equal)
			}
			if typed := typeOf(side); typed != "" && equal {
				known.typed[typed] = true
			}
			if name := memberOf(side); name != "" && equal && isLiteral(other) {
				known.typed[name] = true
			}
		}
	case operators.In:
		if name := memberOf(args[0]); name != "" && value && isLiteral(args[1]) {
			known.typed[name] = true
		}
		key, isText := textOf(args[0])
		if name := memberOf(args[1]); name != "" && value && isText {
			known.present[name], known.present[name+"."+key] = true, true
		}
	case "startsWith", "endsWith", "contains", "matches":
		for _, side := range append(slices.Clone(args), targetOf(call)...) {
			if name := memberOf(side); name != "" {
				known.typed[name] = true
			}
		}
	}
	return known
}

func common(a, b map[string]bool) map[string]bool {
	all := maps.Clone(a)
	maps.DeleteFunc(all, func(name string, _ bool) bool { return !b[name] })
	return all
}

// noteUnguarded notes the members that e reads, and that nothing says are there. A
// guard reads what its member is in.
func (r *reads) noteUnguarded(e ast.Expr, at surroundings) {
	variable, path, guard, ok := chain(e)
	claim, isClaim := strings.CutPrefix(variable, "claims.")
	if !ok || !isClaim || isMembership(e) && !guard {
		return
	}
	if guard {
		path = path[:len(path)-1]
	}
	for i := range path {
		level := claim + "." + strings.Join(path[:i+1], ".")
		if optionalMember(level) && !at.present[level] {
			r.unguarded[level] = true
			return // what is below is missing with it
		}
	}
}

func isMembership(e ast.Expr) bool {
	return e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.In
}

// noteComparison notes that the side e of == or of in is compared.
func (r *reads) noteComparison(e ast.Expr, equals, free bool, at surroundings) {
	switch {
	case memberOf(e) != "":
		r.noteCompared(memberOf(e), equals, free, false, at)
	case e.Kind() == ast.IdentKind && at.entriesOf[e.AsIdent()] != "":
		r.noteCompared(at.entriesOf[e.AsIdent()], equals, free, true, at)
	case e.Kind() == ast.ListKind || e.Kind() == ast.MapKind:
		for _, part := range parts(e) {
			r.noteComparison(part, equals, true, at)
		}
	case e.Kind() == ast.CallKind && e.AsCall().FunctionName() == "dyn":
		r.noteComparison(e.AsCall().Args()[0], equals, free, at)
	case e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.Conditional:
		for _, branch := range e.AsCall().Args()[1:] {
			r.noteComparison(branch, equals, true, at)
		}
	}
}

// noteEntries notes that a text is looked for among the entries of a claim.
func (r *reads) noteEntries(name string, at surroundings) {
	r.noteCompared(name, true, false, true, at)
}

func (r *reads) noteCompared(name string, equals, free, entries bool, at surroundings) {
	p := at.polarity
	if !equals {
		p = p.not()
	}
	c := r.compared[name]
	before := c
	c.equal = c.equal || p != negative && !at.elseTrue[name]
	c.unequal = c.unequal || p != positive && !at.elseFalse[name]
	if c.equal != before.equal || c.unequal != before.unequal {
		c.entries, c.free, c.alternative = c.entries || entries, c.free || free, c.alternative || at.alternative
	}
	r.compared[name] = c
}

// nameOf is the claim that e reads, dotted; empty: it reads none.
func nameOf(e ast.Expr) string {
	variable, path, guard, ok := chain(e)
	claim, isClaim := strings.CutPrefix(variable, "claims.")
	if !ok || guard || !isClaim || isMembership(e) {
		return ""
	}
	return strings.Join(append([]string{claim}, path...), ".")
}

// memberOf is the member of tctx or rctx that e is, maybe within dyn(); empty: none.
func memberOf(e ast.Expr) string {
	if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == "dyn" {
		return memberOf(e.AsCall().Args()[0])
	}
	name := nameOf(e)
	if !optionalMember(name) {
		return ""
	}
	return name
}

// guardOf is the claim that e asks for, by has() or by "name" in claims.tctx.
func guardOf(e ast.Expr) (string, bool) {
	variable, path, guard, ok := chain(e)
	claim, isClaim := strings.CutPrefix(variable, "claims.")
	if !ok || !guard || !isClaim {
		return "", false
	}
	return strings.Join(append([]string{claim}, path...), "."), true
}

// typeOf is the member whose kind e asks for with type().
func typeOf(e ast.Expr) string {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != "type" {
		return ""
	}
	return memberOf(e.AsCall().Args()[0])
}

func boolOf(e ast.Expr) (value, isBool bool) {
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
