package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/suggest"
)

func (b *ruleBuilder) claims() {
	for i, name := range b.spec.Scopes {
		if name == "" || strings.ContainsAny(name, " \t\n") {
			b.fail(fmt.Errorf("scope %q: one scope an entry", name), "scopes", i)
		}
	}
	if len(b.spec.Scopes) > 0 {
		b.read("scope")
		b.rule.fact = fact{scopesFact, b.spec.Scopes[:1]}
		b.inner(hasScopes(b.spec.Scopes))
	}
	names := make([]string, 0, len(b.spec.Claims))
	for name := range b.spec.Claims {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b.claim(name, b.spec.Claims[name])
	}
}

func (b *ruleBuilder) claim(name string, values []any) {
	root, rest, nested := strings.Cut(name, ".")
	if object := root == "tctx" || root == "rctx"; !slices.Contains(topLevelClaims, root) || object != nested || nested && slices.Contains(strings.Split(rest, "."), "") {
		b.fail(unknownClaim(name, root), "claims", name)
	}
	for i, value := range values {
		if whole, isInt := value.(int); isInt {
			value = int64(whole) // the type that numbers of a token have
			values[i] = value
		}
		if !isScalar(value) {
			b.fail(fmt.Errorf("claim %s: want a text, a whole number, true or false; put anything else that a token has as a text in quotes", name), "claims", name, i)
		}
	}
	b.known(name, "claims", name)
	b.read(name)
	b.inner(claimIn(name, values))
	if texts := allTexts(values); texts != nil {
		b.rule.fact = fact{name, texts}
	}
}

// unknownClaim says what to write for a claim that no token has under this name.
func unknownClaim(name, root string) error {
	switch {
	case name == "tctx" || name == "rctx":
		return fmt.Errorf("claim %q: name a member, as in %s.tenant", name, name)
	case slices.Contains(topLevelClaims, root):
		return fmt.Errorf("claim %q: want one of %s, with a member below tctx and rctx", name, strings.Join(topLevelClaims, ", "))
	}
	return fmt.Errorf("claim %q: write tctx.%s for what gateways add; other claims are %s", name, name, strings.Join(topLevelClaims, ", "))
}

// allTexts is nil where one value is no text: a claim of another kind then
// decides nothing, whatever it is.
func allTexts(values []any) []string {
	var texts []string
	for _, value := range values {
		text, isText := value.(string)
		if !isText {
			return nil
		}
		texts = append(texts, text)
	}
	return texts
}

func (b *ruleBuilder) read(claim string) { b.rule.document.reads.claims[claim] = true }

// known refuses a member of tctx that no gateway writes, where the loader knows
// what they write.
func (b *ruleBuilder) known(claim string, path ...any) {
	member, isMember := strings.CutPrefix(claim, "tctx.")
	member, _, _ = strings.Cut(member, ".")
	if b.Members == nil || !isMember || slices.Contains(ownMembers, member) || slices.Contains(b.Members, member) {
		return
	}
	all := append(slices.Clone(ownMembers), b.Members...)
	slices.Sort(all)
	b.fail(fmt.Errorf("claims.tctx.%s is in no token: known are %s", member, strings.Join(all, ", ")), path...)
}

// ownMembers of tctx are written whatever the mapping says.
var ownMembers = []string{"api", "auth", "org", "sid"}

func (b *ruleBuilder) when() {
	if b.spec.When == "" {
		return
	}
	compiled := b.expressions[b.spec.When]
	if compiled.err != nil {
		b.fail(fmt.Errorf("when: %w", compiled.err), "when")
		return
	}
	e := compiled.expression
	for name, guarded := range e.reads.captures {
		if err := b.checkCapture(name, guarded); err != nil {
			b.fail(err, "when")
		}
	}
	for claim := range e.reads.claims {
		b.known(claim, "when")
	}
	b.rule.when = e
	b.rule.document.reads.add(e.reads)
	b.inner(e.condition())
}

// unboundCapture names the captures that there are. It is silent where a path could
// not be read: that may be the one that binds the capture.
func (b *ruleBuilder) unboundCapture(name string) error {
	var captures []string
	for i, p := range b.rule.patterns {
		if _, err := parsePattern(b.spec.To.Paths[i]); err != nil {
			return nil
		}
		captures = append(captures, p.captures()...)
	}
	slices.Sort(captures)
	captures = slices.Compact(captures)
	if len(captures) == 0 {
		return fmt.Errorf("when: path.%s is not bound: no path of this rule has {%s}", name, name)
	}
	return fmt.Errorf("when: path.%s is not bound%s: the paths of this rule bind %s", name, suggest.DidYouMean(name, captures), strings.Join(captures, ", "))
}

// checkCapture wants a capture bound by every path, or asked for with has().
func (b *ruleBuilder) checkCapture(name string, guarded bool) error {
	bound := 0
	for _, p := range b.rule.patterns {
		if slices.Contains(p.captures(), name) {
			bound++
		}
	}
	switch {
	case bound == 0:
		return b.unboundCapture(name)
	case bound < len(b.rule.patterns) && !guarded:
		return fmt.Errorf("when: path.%s is not bound by every path of this rule: guard it with has(path.%s), or split the rule", name, name)
	}
	return nil
}
