package main

// The policy engine is linked so that every build of the plugin proves that its
// modules, CEL's among them, fit beside the gateway's: the edge runs the same
// engine as the hops.
import _ "github.com/meshpass/meshpass/shared/policy"
