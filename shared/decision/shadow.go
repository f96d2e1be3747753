package decision

import (
	"fmt"
	"strings"
)

// Shadows returns the decisions below this one, the nearest first, as texts for the
// field "shadow" of an audit record. A text is one of
//
//	DECISION REASON
//	DECISION REASON POLICY/RULE
//	DECISION REASON FOLDER/POLICY/RULE
//	deny policy_refused FILE/
//
// such as "deny rule_denied orders/no-batch". The folder is there where another folder
// has a document of that name too. [ParseShadow] reads such a text.
func (d Decision) Shadows() []string {
	var all []string
	for s := d.Shadow; s != nil; s = s.Shadow {
		all = append(all, s.shadowText())
	}
	return all
}

func (d Decision) shadowText() string {
	text := d.String() + " " + string(d.Reason)
	if d.Policy != "" {
		text += " " + d.policyName() + "/" + d.Rule
	}
	return text
}

// ParseShadow reads one text of [Decision.Shadows]. It returns an error, and the zero
// decision, for a text that does not begin with a decision and a reason, for an unknown
// reason, for a decision that does not belong to the reason, and for another form of the
// rule.
//
// Folder and Shared are set only where the text has a folder. A rejected document
// ([PolicyRefused]) has no rule, and is named by its path if its name cannot be read. A
// path may hold any byte, also spaces and slashes. It is returned as Policy, in one piece.
func ParseShadow(text string) (Decision, error) {
	word, rest, _ := strings.Cut(text, " ")
	reason, rule, hasRule := strings.Cut(rest, " ")
	d := Decision{Reason: Reason(reason)}
	if _, known := classes[d.Reason]; !known {
		return Decision{}, fmt.Errorf("shadow %q: %q is not a reason", text, reason)
	}
	if word != d.String() {
		return Decision{}, fmt.Errorf("shadow %q: the decision of the reason %s is %s", text, d.Reason, d)
	}
	if hasRule {
		return d.parseRule(text, rule)
	}
	return d, nil
}

// parseRule sets the document and the rule of a decision from the last part of text.
func (d Decision) parseRule(text, rule string) (Decision, error) {
	if d.Reason == PolicyRefused {
		d.Policy = strings.TrimSuffix(rule, "/")
	} else {
		switch parts := strings.Split(rule, "/"); len(parts) {
		case 1, 2:
			d.Policy, d.Rule, _ = strings.Cut(rule, "/")
		case 3:
			d.Folder, d.Policy, d.Rule, d.Shared = parts[0], parts[1], parts[2], true
		}
	}
	if d.Policy == "" {
		return Decision{}, fmt.Errorf("shadow %q: want POLICY/RULE or FOLDER/POLICY/RULE, not %q", text, rule)
	}
	return d, nil
}
