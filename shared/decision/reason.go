package decision

import "net/http"

// Reason is the stable code of an answer: it stands in the audit record, in the
// metric's label and in the body that the client sees.
type Reason string

// Class says what kind of answer a reason is, and so which status it gets.
type Class int

// The zero Class is a denial.
const (
	Denied          Class = iota // 403: the rules say no
	Unauthenticated              // the token or credential does not hold; 401 where so configured
	Unavailable                  // 503: we could not decide
	Broken                       // 500: our own fault, or a configuration that may not be guessed
	Allowed
)

// Status is the HTTP status of a refusal of this class at the edge; at a hop
// Unauthenticated is 403 unless the listener says otherwise.
func (c Class) Status() int {
	switch c {
	case Unauthenticated:
		return http.StatusUnauthorized
	case Unavailable:
		return http.StatusServiceUnavailable
	case Broken:
		return http.StatusInternalServerError
	default:
		return http.StatusForbidden
	}
}

// What a hop may answer about the request.
const (
	RuleAllowed     Reason = "rule_allowed"      // an allow rule matched
	Public          Reason = "public"            // a public entry matched; no token was looked at
	RuleDenied      Reason = "rule_denied"       // a deny rule matched
	ConditionError  Reason = "condition_error"   // a rule could not be decided: no match for allow, a match for deny
	NoRule          Reason = "no_rule"           // no allow rule matched
	Unguarded       Reason = "unguarded"         // no document targets the callee
	Unenforced      Reason = "unenforced"        // likewise, and the configuration lets such requests in
	Overridden      Reason = "overridden"        // an override lifts what guards the callee, until its time is over
	RevocationStale Reason = "revocation_stale"  // nobody can say what was revoked meanwhile, and onStale denies
	OutageAllowed   Reason = "allowed_on_outage" // we could not decide, and every document says onOutage: allow
	PolicyRefused   Reason = "policy_refused"    // a document that guards the callee cannot be used, and there is no last good one
	AmbiguousPath   Reason = "ambiguous_path"    // proxies and servers may read this path in two ways
	AmbiguousMethod Reason = "ambiguous_method"  // not in capitals: servers may read it in two ways
	AmbiguousHost   Reason = "ambiguous_host"    // routers may read this host in two ways, and the answer depends on it
	AmbiguousHeader Reason = "ambiguous_header"  // a name of ours, written with bytes that no header name holds: Envoy may not be able to remove it
	NoCallee        Reason = "no_callee"         // the listener should know the called workload and does not
	NoHTTP          Reason = "no_http"           // a Check without HTTP attributes, as for raw TCP
	BadPrincipal    Reason = "bad_principal"     // a peer's name is not a SPIFFE id
	ClientRefused   Reason = "client_refused"    // whoever sent the Check may not ask; nothing in it was read
	Panic           Reason = "panic"             // our own fault; always refused

	// What is not judged, because of what it would cost. None is an outage for onOutage.
	Overloaded       Reason = "overloaded"        // as many Checks, or bytes of them, as may be in flight
	DeadlineExceeded Reason = "deadline_exceeded" // the time for one Check is over
	CheckTooLarge    Reason = "check_too_large"   // above the limit for one Check, which was not read
	TooManyHeaders   Reason = "too_many_headers"  // above the limit for one Check
)

// What the verifier may say of a token. The comment names the rule.
const (
	TokenMissing     Reason = "token_missing"
	TokenDuplicated  Reason = "token_duplicated"    // more than one value in the header
	TokenTooLarge    Reason = "token_too_large"     // above the size cap, before any parsing
	TokenCharset     Reason = "token_charset"       // RFC 8725bis 3.14
	TokenFormat      Reason = "token_format"        // not three non-empty parts: RFC 7515 section 3.1
	TokenBase64      Reason = "token_base64"        // padding or trailing bits: RFC 4648 section 3.5
	TokenJSON        Reason = "token_json"          // not UTF-8, not an object, a name twice: RFC 7515 section 4
	TokenTooDeep     Reason = "token_too_deep"      // nested deeper than any honest token
	HeaderCritical   Reason = "header_critical"     // crit, b64, zip: RFC 7515 section 4.1.11, RFC 7797
	HeaderKeySource  Reason = "header_key_source"   // jku, jwk, x5u, x5c, x5t: RFC 8725bis 3.10
	HeaderUnexpected Reason = "header_unexpected"   // a parameter besides alg, kid, typ, such as those of JWE
	HeaderNested     Reason = "header_nested"       // cty: RFC 7519 section 5.2
	TypeMismatch     Reason = "type_mismatch"       // typ is not txntoken+jwt, or at the edge not that of an access token: RFC 8725bis 3.11
	AlgorithmBanned  Reason = "algorithm_banned"    // none, or symmetric: RFC 8725bis 3.2
	AlgorithmRefused Reason = "algorithm_refused"   // not in the issuer's list: RFC 8725bis 3.1
	AlgorithmKey     Reason = "algorithm_key"       // not the algorithm of the key: RFC 8725bis 3.1
	KeyIDMissing     Reason = "kid_missing"         // or longer than any thumbprint
	KeyUnknown       Reason = "kid_unknown"         // not a key of this issuer
	KeysUnavailable  Reason = "keys_unavailable"    // nobody knows: there is no usable key set of this issuer
	SignatureInvalid Reason = "signature_invalid"   // RFC 7515 section 5.2
	IssuerUnknown    Reason = "issuer_unknown"      // RFC 8725bis 3.8
	NotEntitled      Reason = "issuer_not_entitled" // subject namespace or requester is not this issuer's
	AudienceMismatch Reason = "audience_mismatch"   // RFC 8725bis 3.9
	TimeInvalid      Reason = "time_invalid"        // exp or iat absent, not a positive integer, or out of order
	TokenExpired     Reason = "token_expired"
	TokenNotYetValid Reason = "token_not_yet_valid"
	LifetimeTooLong  Reason = "lifetime_too_long"
	ClaimsInvalid    Reason = "claims_invalid" // a required claim is absent, empty, too long or of the wrong type
	TestToken        Reason = "test_token"     // tctx.test: minted by hand, where such are not admitted
	TokenRevoked     Reason = "token_revoked"  // its transaction, session, user or key was withdrawn
)

// What the edge may say before a token exists.
const (
	Issued             Reason = "issued"              // a token was signed
	Anonymous          Reason = "anonymous"           // passed on without identity, as configured
	NoSession          Reason = "no_session"          // an ignored endpoint: nobody was authenticated
	SessionInactive    Reason = "session_inactive"    // the gateway itself would refuse it next
	SessionUnsupported Reason = "session_unsupported" // a kind of session that cannot be read
	SubjectUnknown     Reason = "subject_unknown"     // no stable subject can be derived
	ClaimsUnavailable  Reason = "claims_unavailable"  // the gateway did not hand over the verified claims
	ClaimsUnbound      Reason = "claims_unbound"      // the claims belong to another session than this one
	CredentialExpiring Reason = "credential_expiring" // less than minRemaining is left
	LoopSubject        Reason = "loop_subject"        // an internal loop came back as somebody else
	ConfigInvalid      Reason = "config_invalid"      // the API's own settings are refused
	ResponseCache      Reason = "response_cache"      // the gateway would answer from a cache that does not tell callers apart
	DetailedRecording  Reason = "detailed_recording"  // the gateway would write the token into its analytics
	GuardMissing       Reason = "guard_missing"       // the API has no hook that looks where its requests go
	UpstreamRefused    Reason = "upstream_refused"    // the request would leave the mesh with the token
	NotConfigured      Reason = "not_configured"      // the plugin has no usable configuration
	NoSigningKey       Reason = "no_signing_key"      // no key whose time has come
	MintFailed         Reason = "mint_failed"         // the identity does not fit into a token that a hop would accept
)
