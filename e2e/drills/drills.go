// Package drills breaks, on purpose, what stands between a caller and a
// decision, and shows what the caller, Envoy's log and our own records say
// then. Envoys and Istio's control plane are real; so is the authorizer, unless
// it is the one that misbehaves.
//
//	tyk-gateway's Envoy ══mTLS══► Envoy of orders    guarded by the closed provider
//	                    ══mTLS══► Envoy of reports   guarded by the open one, with the backstop
//
// Each drill is a row of docs/failure-modes.md, and a test compares the two.
// Ordering holds the facts about Envoy's filters on which both rest.
package drills
