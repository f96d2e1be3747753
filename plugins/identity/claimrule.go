package main

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/shared/decision"
)

// claimRule says where a claim of the token comes from: `tenant: org_id`, or
// `groups: {from: groups, keep: ["orders-*"], max: 20}`.
type claimRule struct {
	From string   `yaml:"from"` // name of a claim, or meta.NAME for API keys
	Keep []string `yaml:"keep"` // of a list only these values; `*` stands for any characters, once in a pattern
	Max  int      `yaml:"max"`  // values that may be left; 0: no limit of its own
}

// UnmarshalYAML reads both forms. It checks the keys itself: the strict reader
// does not look into types that read themselves.
func (c *claimRule) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		return node.Decode(&c.From)
	}
	var wrong yaml.TypeError // several at once, each with its line
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch {
		case key.Value != "from" && key.Value != "keep" && key.Value != "max":
			wrong.Errors = append(wrong.Errors, fmt.Sprintf("line %d: unknown key %q; known here: from, keep, max", key.Line, key.Value))
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

// mapClaims applies the rules to what the caller's credential says. An absent
// value leaves no claim; one that does not fit refuses, because a policy may
// deny by the very value that would be missing.
func mapClaims(rules map[string]claimRule, get func(from string) any) (map[string]any, error) {
	claims := map[string]any{}
	for name, rule := range rules {
		value, err := rule.apply(get(rule.From))
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
	switch value := value.(type) {
	case nil, bool, float64, int64, int:
		return value, nil
	case string:
		if !c.keeps(value) {
			return nil, nil
		}
		return value, nil
	case []string:
		return c.filter(value)
	case []any:
		list, err := texts(value)
		if err != nil {
			return nil, err
		}
		return c.filter(list)
	}
	return nil, fmt.Errorf("%T: want a text, a number, true or false, or a list of texts", value)
}

func (c claimRule) filter(list []string) (any, error) {
	kept := []string{}
	for _, value := range list {
		if c.keeps(value) {
			kept = append(kept, value)
		}
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
			return nil, fmt.Errorf("entry %d of the list is %T: want a text", i+1, value)
		}
		out[i] = text
	}
	return out, nil
}

// scopesIn reads a scope claim, which providers write as one text with spaces
// (RFC 8693 section 4.2) or as a list.
func scopesIn(value any) ([]string, error) {
	switch value := value.(type) {
	case nil:
		return nil, nil
	case string:
		return strings.Fields(value), nil
	case []any:
		return texts(value)
	}
	return nil, fmt.Errorf("%T: want a text or a list of texts", value)
}
