package token

import "github.com/meshpass/meshpass/shared/decision"

// rulesByNumber are the rules of docs/token.md with their reasons. A rule that is missing
// here has no reason of its own: it holds because of how keys are loaded, and of the
// order of the other rules.
var rulesByNumber = map[int][]decision.Reason{
	1:  {decision.AlgorithmRefused},
	2:  {decision.AlgorithmKey},
	3:  {decision.AlgorithmBanned},
	4:  {decision.TokenFormat, decision.HeaderNested},
	5:  {decision.TokenCharset},
	6:  {decision.TokenBase64},
	7:  {decision.TokenJSON},
	8:  {decision.HeaderCritical},
	9:  {decision.HeaderKeySource},
	10: {decision.KeyIDMissing, decision.KeyUnknown},
	11: {decision.TypeMismatch},
	12: {decision.IssuerUnknown},
	13: {decision.AudienceMismatch},
	14: {decision.TimeInvalid, decision.TokenExpired, decision.TokenNotYetValid, decision.LifetimeTooLong},
	15: {decision.ClaimsInvalid},
	18: {decision.TokenTooLarge, decision.TokenTooDeep},
	19: {decision.TokenMissing, decision.TokenDuplicated},
	22: {decision.SignatureInvalid},
	23: {decision.NotEntitled},
	24: {decision.TestToken},
	25: {decision.TokenRevoked},
	26: {decision.HeaderUnexpected},
}

// RuleNumber returns the number of the rule in docs/token.md that has this reason, or 0
// if it is not a reason of the verifier.
func RuleNumber(r decision.Reason) int {
	for number, reasons := range rulesByNumber {
		for _, reason := range reasons {
			if reason == r {
				return number
			}
		}
	}
	return 0
}
