package syslint

import "github.com/meshpass/meshpass/extauthz/internal/syslint/finding"

// proofs are the tests of `make lint-proof` that cause a fault on the real component, by code: PACKAGE.TEST below e2e. A code without a test is
// known from the source or the documentation of the component.
var proofs = map[string]string{
	"provider_unknown":          "istiod.TestLintFacts",
	"provider_invalid":          "istiod.TestLintFacts",
	"provider_service_unknown":  "istiod.TestLintFacts",
	"providers_conflict":        "istiod.TestLintFacts",
	"custom_selects_authorizer": "istiod.TestLintFacts",
	"guarded_without_policy":    "istiod.TestLintFacts",
	"provider_timeout":          "istiod.TestLintTimeout",
	"provider_fail_open":        "drills.TestDrills",
	"provider_status_on_error":  "drills.TestDrills",
	"provider_port_not_grpc":    "drills.TestDrills",
	"retries_on_guarded":        "drills.TestRetries",
	"hedging_on_guarded":        "drills.TestRetries",
	"custom_tcp_port":           "istiod.TestChains",
	"mtls_not_strict":           "istiod.TestChains",
	"path_normalization_none":   "fidelity.TestNormalisation",
	"waypoint_without_xfcc":     "TestTopologies",

	"tyk_hooks_missing":         "gateway.TestUnguardedAPIs",
	"tyk_hook_list":             "gateway.TestUnguardedAPIs",
	"tyk_driver":                "gateway.TestUnguardedAPIs",
	"tyk_options_passthrough":   "gateway.TestWays",
	"tyk_version_without_hooks": "gateway.TestWays",
	"tyk_keyless":               "gateway.TestWays",
	"tyk_ignored_endpoint":      "gateway.TestWays",
	"tyk_upstream_outside":      "gateway.TestWays",
	"tyk_response_cache":        "gateway.TestResponseCache",
	"tyk_detailed_recording":    "gateway.TestDetailedRecording",
	"tyk_canary_missing":        "gateway.TestCanary",
	"tyk_control_api_shared":    "gateway.TestControlAPI",
	"tyk_session_unsupported":   "gateway.TestKinds",
	"tyk_oas_pair":              "gateway.TestOpenAPIDefinitions",
	"tyk_fail_open_release":     "gateway.TestBundles",
	"tyk_inactive_served":       "gateway.TestLintFacts",
	"tyk_domain_ignored":        "gateway.TestLintFacts",
	"tyk_listen_path_prefix":    "gateway.TestLintFacts",
	"tyk_listen_path_collision": "gateway.TestLintFacts",
	"tyk_unanchored_pattern":    "gateway.TestLintFacts",
	"tyk_pattern_invalid":       "gateway.TestLintFacts",
	"tyk_alias":                 "gateway.TestLintFacts",
	"tyk_dynamic_discovery":     "gateway.TestLintFacts",
	"tyk_guard_not_last":        "gateway.TestLintFacts",
	"tyk_auth_header":           "gateway.TestLintFacts",

	"issuer_untrusted":              "TestTrustComesAndGoes",
	"gateway_not_requester":         "TestTopologies",
	"trust_domain_mismatch":         "TestTopologies",
	"subject_namespace_not_allowed": "TestTopologies",
	"client_not_admitted":           "TestTopologies",
}

// ProofOf is how it is known that a code is right, and the test that shows it.
func ProofOf(code string) (proof finding.Proof, test string) {
	if test = proofs[code]; test == "" {
		return finding.Read, ""
	}
	return finding.Seen, test
}
