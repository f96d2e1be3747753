// Package policy decides requests by AccessPolicy documents: who may call which
// workload, for whom, and what may be asked.
//
// [Loader.Load] compiles YAML files into an immutable [Set]; [Set.Decide] answers
// from plain values. Nothing here does I/O at decision time, reads a clock or knows
// of Envoy, so that daemon, gateway plugin and command line decide alike.
//
// A request is decided in this order (the numbers stand in the truth table of
// the tests, and in docs/policy.md):
//
//	0  the callee is unknown                       deny no_callee
//	1  a document that cannot be used guards it    deny policy_refused
//	   no document targets the callee              deny unguarded
//	2  the path can be read in two ways            deny ambiguous_path
//	   or the method                               deny ambiguous_method
//	   or the host, where a rule or a gateway      deny ambiguous_host
//	   looks at it
//	3  a deny rule on from and to alone matches    deny rule_denied
//	   a public entry matches                      allow public
//	4  no token, and a document requires one       deny token_missing
//	   a token that does not verify                deny, with the verifier's reason
//	   nobody can tell whether it does: an outage  deny, with the reason; allow
//	                                               allowed_on_outage where all say so
//	5  a deny rule matches, or cannot be decided   deny rule_denied, condition_error
//	6  an allow rule matches                       allow rule_allowed
//	7  otherwise                                   deny no_rule; condition_error if an
//	                                               allow rule could not be decided
//
// What cannot be decided (no token, a missing or mistyped member, a CEL error, too
// costly an expression) never helps a caller: it counts as a match for deny and
// as none for allow, so leaving out a token does not dodge a deny. The order of
// files, documents, rules and keys never matters.
//
// Documents and rules in shadow are decided beside this: [decision.Decision.Shadow]
// is the answer if they were enforced. An [Override] turns that around for a while.
package policy
