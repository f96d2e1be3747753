package expr

import (
	"maps"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
)

// Members describes how an expression reads members of tctx and rctx. Their dotted names
// begin below claims, such as tctx.tenant.
type Members struct {
	Compared  map[string]Comparison // members that are compared with == and !=, and by in
	Assured   map[string]bool       // members that are present whenever the expression holds
	Unguarded map[string]bool       // members that it reads although they may be missing
}

// Comparison describes how an expression compares a claim whose kind is not certain at
// the comparison. In CEL, values of different kinds are unequal, which is no error.
type Comparison struct {
	Equal       bool // it must equal something for the expression to hold
	Unequal     bool // it must not
	Entries     bool // its entries are compared, not the claim itself
	Alternative bool // it is one side of ||, or of ? :
	Free        bool // it is compared with something that is no literal
}

// facts are known of the members of tctx and rctx once an expression has a certain value:
// the members that are present, and those that are of a certain kind.
type facts struct{ present, typed map[string]bool }

// surroundings are known at the place of a part in an expression.
type surroundings struct {
	polarity polarity
	present  map[string]bool // members that are present, or this part decides nothing
	// If a member is of another kind than the tested one, the whole expression has this
	// value, independent of the value of this part.
	elseFalse, elseTrue map[string]bool
	alternative         bool
	entriesOf           map[string]string // variables of macros, and the claim whose entries they are
}

// polarity relates the value of a part to that of the whole expression.
type polarity int

const (
	positive    polarity = iota // the whole holds when the part does
	negative                    // the whole holds when the part does not
	anyPolarity                 // not certain, as below == or in the condition of ? :
)

func (p polarity) negate() polarity { return [...]polarity{negative, positive, anyPolarity}[p] }

// analyseMembers finds comparisons of members, and reads of members that may be missing.
func analyseMembers(e ast.Expr) Members {
	m := Members{Compared: map[string]Comparison{}, Assured: factsWhere(e, true).present, Unguarded: map[string]bool{}}
	m.visit(e, surroundings{entriesOf: map[string]string{}})
	return m
}

func (m *Members) visit(e ast.Expr, at surroundings) {
	m.addUnguarded(e, at)
	if _, _, _, ok := parseChain(e); ok && (!isMembership(e) || optionalMemberOf(e.AsCall().Args()[1]) == "") {
		return
	}
	switch e.Kind() {
	case ast.ComprehensionKind:
		m.visitMacro(e.AsComprehension(), at)
		return
	case ast.CallKind:
		m.visitCall(e.AsCall(), at)
		return
	}
	m.visitAll(subexpressions(e), at.uncertain())
}

func (m *Members) visitAll(list []ast.Expr, at surroundings) {
	for _, part := range list {
		m.visit(part, at)
	}
}

func (at surroundings) uncertain() surroundings {
	at.polarity = anyPolarity
	return at
}

func (m *Members) visitCall(call ast.CallExpr, at surroundings) {
	args := call.Args()
	switch call.FunctionName() {
	case operators.LogicalNot:
		at.polarity = at.polarity.negate()
		m.visit(args[0], at)
		return
	case operators.LogicalAnd, operators.LogicalOr:
		and := call.FunctionName() == operators.LogicalAnd
		for i, side := range args {
			m.visit(side, at.besideOperand(args[1-i], and))
		}
		return
	case operators.Conditional:
		m.visit(args[0], at.uncertain())
		for i, holds := range []bool{true, false} {
			branch := at
			branch.alternative = true
			branch.addCondition(factsWhere(args[0], holds), args[2-i], at.polarity)
			m.visit(args[1+i], branch)
		}
		return
	case operators.Equals, operators.NotEquals:
		equals := call.FunctionName() == operators.Equals
		for i, side := range args {
			if value, isBool := boolLiteral(args[1-i]); isBool { // (a == b) == false
				part := at
				if value != equals {
					part.polarity = at.polarity.negate()
				}
				m.visit(side, part)
			} else {
				m.visit(side, at.uncertain())
			}
			m.addComparison(side, equals, !isLiteral(args[1-i]), at)
		}
		return
	case operators.In:
		m.addComparison(args[0], true, !isLiteral(args[1]), at)
		if name := optionalMemberOf(args[1]); name != "" {
			m.addEntries(name, at)
		}
	}
	m.visitAll(operandsOf(call), at.uncertain())
}

// visitMacro follows exists() and all() with their polarity: their steps are
// "accumulator || condition" and "accumulator && condition".
func (m *Members) visitMacro(c ast.ComprehensionExpr, at surroundings) {
	m.visitAll([]ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition()}, at.uncertain())
	inner := at
	if name := optionalMemberOf(c.IterRange()); name != "" {
		inner.entriesOf = maps.Clone(at.entriesOf)
		inner.entriesOf[c.IterVar()] = name
	}
	m.visit(c.LoopStep(), inner)
	m.visit(c.Result(), at)
}

// besideOperand adds the facts that are known at one side of && or || because of the
// other side.
func (at surroundings) besideOperand(other ast.Expr, and bool) surroundings {
	// This side matters only if the other one does not decide alone.
	known := factsWhere(other, and)
	at.present = unionOf(at.present, known.present)
	decides := at.polarity
	if !and {
		decides = decides.negate()
		at.alternative = at.alternative || at.polarity != negative
	} else {
		at.alternative = at.alternative || at.polarity != positive
	}
	at.addOutcome(known.typed, decides)
	return at
}

// addOutcome adds members whose other kinds decide a conjunction or disjunction.
func (at *surroundings) addOutcome(typed map[string]bool, p polarity) {
	switch p {
	case positive:
		at.elseFalse = unionOf(at.elseFalse, typed)
	case negative:
		at.elseTrue = unionOf(at.elseTrue, typed)
	case anyPolarity: // nothing is known of the outcome
	}
}

// addCondition adds the facts that the condition of ? : gives in the branch that it
// chooses. The other branch decides the result for other kinds.
func (at *surroundings) addCondition(known facts, other ast.Expr, p polarity) {
	at.present = unionOf(at.present, known.present)
	if value, isBool := boolLiteral(other); isBool && p != anyPolarity {
		if value {
			p = p.negate()
		}
		at.addOutcome(known.typed, p)
	}
}

func unionOf(a, b map[string]bool) map[string]bool {
	if len(b) == 0 {
		return a
	}
	all := maps.Clone(b)
	maps.Copy(all, a)
	return all
}

// factsWhere gives the facts that are known if e has the value. Errors are no values: they
// decide nothing, which denies.
func factsWhere(e ast.Expr, value bool) facts {
	known := facts{present: map[string]bool{}, typed: map[string]bool{}}
	if name, guard := guardedClaim(e); guard {
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
		return factsWhere(args[0], !value)
	case operators.LogicalAnd, operators.LogicalOr:
		a, b := factsWhere(args[0], value), factsWhere(args[1], value)
		if (call.FunctionName() == operators.LogicalAnd) == value {
			return facts{unionOf(a.present, b.present), unionOf(a.typed, b.typed)}
		}
		return facts{intersectionOf(a.present, b.present), intersectionOf(a.typed, b.typed)}
	case operators.Equals, operators.NotEquals:
		equal := (call.FunctionName() == operators.Equals) == value
		for i, side := range args {
			other := args[1-i]
			if truth, isBool := boolLiteral(other); isBool && optionalMemberOf(side) == "" {
				return factsWhere(side, truth == equal)
			}
			if typed := memberOfType(side); typed != "" && equal {
				known.typed[typed] = true
			}
			if name := optionalMemberOf(side); name != "" && equal && isLiteral(other) {
				known.typed[name] = true
			}
		}
	case operators.In:
		if name := optionalMemberOf(args[0]); name != "" && value && isLiteral(args[1]) {
			known.typed[name] = true
		}
		key, isText := textLiteral(args[0])
		if name := optionalMemberOf(args[1]); name != "" && value && isText {
			known.present[name], known.present[name+"."+key] = true, true
		}
	case "startsWith", "endsWith", "contains", "matches":
		for _, side := range operandsOf(call) {
			if name := optionalMemberOf(side); name != "" {
				known.typed[name] = true
			}
		}
	}
	return known
}

func intersectionOf(a, b map[string]bool) map[string]bool {
	all := maps.Clone(a)
	maps.DeleteFunc(all, func(name string, _ bool) bool { return !b[name] })
	return all
}

// addUnguarded adds the members that e reads although they may be missing. A guard reads
// the object that may hold its member.
func (m *Members) addUnguarded(e ast.Expr, at surroundings) {
	variable, path, guard, ok := parseChain(e)
	claim, isClaim := strings.CutPrefix(variable, "claims.")
	if !ok || !isClaim || isMembership(e) && !guard {
		return
	}
	if guard {
		path = path[:len(path)-1]
	}
	for i := range path {
		level := claim + "." + strings.Join(path[:i+1], ".")
		if IsOptionalMember(level) && !at.present[level] {
			m.Unguarded[level] = true
			return // its members are missing with it
		}
	}
}

// addComparison adds a comparison of e, one side of == or of in.
func (m *Members) addComparison(e ast.Expr, equals, free bool, at surroundings) {
	switch {
	case optionalMemberOf(e) != "":
		m.addCompared(optionalMemberOf(e), equals, free, false, at)
	case e.Kind() == ast.IdentKind && at.entriesOf[e.AsIdent()] != "":
		m.addCompared(at.entriesOf[e.AsIdent()], equals, free, true, at)
	case e.Kind() == ast.ListKind || e.Kind() == ast.MapKind:
		for _, part := range subexpressions(e) {
			m.addComparison(part, equals, true, at)
		}
	case e.Kind() == ast.CallKind && e.AsCall().FunctionName() == "dyn":
		m.addComparison(e.AsCall().Args()[0], equals, free, at)
	case e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.Conditional:
		for _, branch := range e.AsCall().Args()[1:] {
			m.addComparison(branch, equals, true, at)
		}
	}
}

// addEntries adds a search for a text among the entries of a claim.
func (m *Members) addEntries(name string, at surroundings) {
	m.addCompared(name, true, false, true, at)
}

func (m *Members) addCompared(name string, equals, free, entries bool, at surroundings) {
	p := at.polarity
	if !equals {
		p = p.negate()
	}
	c := m.Compared[name]
	before := c
	c.Equal = c.Equal || p != negative && !at.elseTrue[name]
	c.Unequal = c.Unequal || p != positive && !at.elseFalse[name]
	if c.Equal != before.Equal || c.Unequal != before.Unequal {
		c.Entries, c.Free, c.Alternative = c.Entries || entries, c.Free || free, c.Alternative || at.alternative
	}
	m.Compared[name] = c
}
