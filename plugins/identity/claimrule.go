package main

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/token"
)

// claimRule says where a claim of the token comes from: `tenant: org_id`, or
// `groups: {from: groups, keep: ["orders-*"], max: 20}`. `client: false` removes a
// claim of the preset.
type claimRule struct {
	From string   `yaml:"from"` // name of a claim, or meta.NAME for API keys
	Keep []string `yaml:"keep"` // of a list only these values; `*` stands for any characters, once in a pattern
	Max  int      `yaml:"max"`  // values that may be left; 0: no limit of its own
	As   string   `yaml:"as"`   // text: an integer is written as a text; absent: each value keeps its kind

	removed bool // `false` in the place of a rule
}

// asText is the one value of as.
const asText = "text"

// UnmarshalYAML reads all forms. It checks the keys itself: the strict reader
// does not look into types that read themselves.
func (c *claimRule) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode && node.ShortTag() == "!!bool" {
		var keep bool
		err := node.Decode(&keep)
		c.removed = !keep
		return err
	}
	if node.Kind == yaml.ScalarNode {
		return node.Decode(&c.From)
	}
	var wrong yaml.TypeError // several at once, each with its line
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch {
		case !slices.Contains(ruleKeys, key.Value):
			wrong.Errors = append(wrong.Errors, fmt.Sprintf("line %d: unknown key %q; known here: %s", key.Line, key.Value, strings.Join(ruleKeys, ", ")))
		case value.ShortTag() == "!!null":
			wrong.Errors = append(wrong.Errors, fmt.Sprintf("line %d: %s has no value: remove it or give it one", value.Line, key.Value))
		}
	}
	if len(wrong.Errors) > 0 {
		return &wrong
	}
	type plain claimRule
	return node.Decode((*plain)(c))
}

var ruleKeys = []string{"from", "keep", "max", "as"}

// mapClaims applies the rules to what the caller's credential says. An absent
// value leaves no claim; one that does not fit refuses, because a policy may
// deny by the very value that would be missing. found hears of each rule whether
// the credential has its claim.
func mapClaims(rules map[string]claimRule, get func(from string) any, found func(name string, there bool)) (map[string]any, error) {
	claims := map[string]any{}
	for name, rule := range rules {
		source := get(rule.From)
		found(name, source != nil)
		value, err := rule.apply(source)
		if err != nil {
			return nil, refuse(decision.ClaimsInvalid, "claim %s: %w", rule.From, err)
		}
		if value != nil {
			claims[name] = value
		}
	}
	return claims, nil
}

func (c claimRule) apply(value any) (any, error) {
	if value == nil {
		return nil, nil
	}
	if c.As == asText {
		text, err := integerText(value)
		if err != nil {
			return nil, err
		}
		value = text
	}
	switch value := value.(type) {
	case bool:
		return value, nil
	case string:
		if !c.keeps(value) {
			return nil, nil
		}
		return value, token.CheckText(value)
	case []string:
		return c.filter(value)
	case []any:
		list, err := texts(value)
		if err != nil {
			return nil, err
		}
		return c.filter(list)
	}
	number, ok, err := exactNumber(value)
	if !ok {
		return nil, fmt.Errorf("%s: want a text, a number, true or false, or a list of texts", kindName(value))
	}
	return number, err
}

func (c claimRule) filter(list []string) (any, error) {
	kept := []string{}
	for _, value := range list {
		if !c.keeps(value) {
			continue
		}
		if err := token.CheckText(value); err != nil {
			return nil, err
		}
		kept = append(kept, value)
	}
	if c.Max > 0 && len(kept) > c.Max {
		return nil, fmt.Errorf("%d values, at most %d are configured", len(kept), c.Max)
	}
	return kept, nil
}

func (c claimRule) keeps(value string) bool {
	for _, pattern := range c.Keep {
		before, after, star := strings.Cut(pattern, "*")
		if value == pattern || star && len(value) >= len(before)+len(after) &&
			strings.HasPrefix(value, before) && strings.HasSuffix(value, after) {
			return true
		}
	}
	return len(c.Keep) == 0
}

func texts(list []any) ([]string, error) {
	out := make([]string, len(list))
	for i, value := range list {
		text, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("entry %d of the list is %s: want a text", i+1, kindName(value))
		}
		out[i] = text
	}
	return out, nil
}

// scopesIn reads a scope claim, which providers write as one text with spaces
// (RFC 8693 section 4.2) or as a list. What is no scope (RFC 6749 section 3.3)
// refuses: the token is wrong, and a rule may ask for the very scope that would be missing.
func scopesIn(value any) (scopes []string, err error) {
	switch value := value.(type) {
	case nil:
	case string:
		// Not by every space of Unicode: only the ASCII ones separate scopes.
		scopes = strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' })
	case []any:
		scopes, err = texts(value)
	default:
		err = fmt.Errorf("%s: want a text or a list of texts", kindName(value))
	}
	for i := 0; err == nil && i < len(scopes); i++ {
		err = token.CheckScope(scopes[i])
	}
	return scopes, err
}
