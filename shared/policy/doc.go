// Package policy is the engine that decides requests by AccessPolicy documents. These list
// the workloads and users that may call a workload, and the requests that they may make.
//
// [NewSet] makes an immutable [Set] of documents. [Set.Decide] decides a request from
// plain values, and [Set.Explain] also shows the result of every rule. The engine does no
// I/O, reads no clock and knows neither YAML nor Envoy, so that authorizer, gateway
// plugin and command line decide in the same way.
//
// Its parts are packages of their own. Package path, host and method compare what a
// request names, and package expr evaluates the expressions of rules. Package source
// compiles folders of YAML files into a Set, and package lint warns of documents that may
// not mean what their author wants. Imports point one way: lint, source, policy, then
// the others.
//
// A request is decided in this order. The truth table of the tests and docs/policy.md use
// the same numbers.
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
//	   an invalid token                            deny, with the verifier's reason
//	   it cannot be verified now: an outage        deny, with the reason; allow
//	                                               allowed_on_outage where all say so
//	5  a deny rule matches, or cannot be decided   deny rule_denied, condition_error
//	6  an allow rule matches                       allow rule_allowed
//	7  otherwise                                   deny no_rule; condition_error if an
//	                                               allow rule could not be decided
//
// A condition that cannot be decided (no token, a missing or mistyped member, a CEL error,
// too costly an expression) never helps a caller. A deny rule with it matches, and an
// allow rule with it does not, so leaving out a token does not dodge a deny. The order of
// files, documents, rules and keys never matters.
//
// Documents and rules in shadow are decided as well: [decision.Decision.Shadow] is the
// decision if they were enforced. During an [Override] the decision of all documents is a
// shadow one too.
package policy
