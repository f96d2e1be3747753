package decision

import (
	"net/http"
	"sort"
)

// Reason is the stable code of an answer. It is a field of the audit record, the value of
// a metric label, and a member of the body that a denied client gets.
type Reason string

// Class is the kind of answer that a reason gives. It decides the HTTP status.
type Class int

// The classes. The zero Class denies.
const (
	Denied          Class = iota // 403: the rules deny the request
	Unauthenticated              // the token or credential is invalid; 401 where so configured
	Unavailable                  // 503: we could not decide
	Broken                       // 500: a fault of ours, or a configuration that is not safe to guess
	Allowed
)

// Status returns the HTTP status of a denial of this class at the edge. At a hop
// Unauthenticated is 403 unless the listener is configured otherwise.
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

// Class returns the class of the reason. That of an unknown reason is Denied.
func (r Reason) Class() Class { return classes[r] }

// CanBeOutage reports whether the reason may count as an outage: onOutage then decides.
// Whether it does for one request is the verifier's answer: of two issuers without keys,
// only the tokens of a home issuer meet an outage.
func (r Reason) CanBeOutage() bool { return outages[r] }

// Reasons returns every reason, sorted. These are the values of the metric label.
func Reasons() []Reason {
	all := make([]Reason, 0, len(classes))
	for r := range classes {
		all = append(all, r)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	return all
}

// Reasons of a hop, about the request.
const (
	RuleAllowed     Reason = "rule_allowed"      // an allow rule matched
	Public          Reason = "public"            // a public entry matched; no token was looked at
	RuleDenied      Reason = "rule_denied"       // a deny rule matched
	ConditionError  Reason = "condition_error"   // a rule could not be decided: no match for allow, a match for deny
	NoRule          Reason = "no_rule"           // no allow rule matched
	Unguarded       Reason = "unguarded"         // no document targets the callee
	Unenforced      Reason = "unenforced"        // no document targets the callee, and the configuration allows such requests
	Overridden      Reason = "overridden"        // an override lifts the documents of the callee, until it expires
	RevocationStale Reason = "revocation_stale"  // the list of revocations is too old, and onStale is deny
	OutageAllowed   Reason = "allowed_on_outage" // we could not decide, and every document has onOutage: allow
	PolicyRefused   Reason = "policy_refused"    // a document that guards the callee is rejected, and no earlier version of it is loaded
	AmbiguousPath   Reason = "ambiguous_path"    // proxies and servers may read this path in two ways
	AmbiguousMethod Reason = "ambiguous_method"  // not in capitals: servers may read it in two ways
	AmbiguousHost   Reason = "ambiguous_host"    // routers may read this host in two ways, and the answer depends on it
	AmbiguousHeader Reason = "ambiguous_header"  // one of our header names, with bytes that no header name may hold: Envoy may not be able to remove it
	NoCallee        Reason = "no_callee"         // the listener should know the callee and does not
	NoHTTP          Reason = "no_http"           // a Check without HTTP attributes, as for raw TCP
	BadPrincipal    Reason = "bad_principal"     // the caller's name is not a SPIFFE id
	ClientRefused   Reason = "client_refused"    // the sender of the Check may not ask; the Check was not read
	Panic           Reason = "panic"             // a fault of ours; always denies

	AuditUnavailable Reason = "audit_unavailable" // the request would be allowed, but its record cannot be written; never an outage

	// Requests that are not decided, because that would cost too much. These are never an outage.
	Overloaded       Reason = "overloaded"        // the limit of Checks, or of their bytes, in flight is reached
	DeadlineExceeded Reason = "deadline_exceeded" // the time for one Check is over
	CheckTooLarge    Reason = "check_too_large"   // larger than the limit; the Check was not read
	TooManyHeaders   Reason = "too_many_headers"  // more than the limit for one Check
)

// Reasons of the verifier. The comment names the source of the rule.
const (
	TokenMissing     Reason = "token_missing"
	TokenDuplicated  Reason = "token_duplicated"    // more than one value in the header
	TokenTooLarge    Reason = "token_too_large"     // above the size cap, before any parsing
	TokenCharset     Reason = "token_charset"       // RFC 8725bis 3.14
	TokenFormat      Reason = "token_format"        // not three non-empty parts: RFC 7515 section 3.1
	TokenBase64      Reason = "token_base64"        // padding or trailing bits: RFC 4648 section 3.5
	TokenJSON        Reason = "token_json"          // not UTF-8, not an object, a name twice: RFC 7515 section 4
	TokenTooDeep     Reason = "token_too_deep"      // nested deeper than any valid token
	HeaderCritical   Reason = "header_critical"     // crit, b64, zip: RFC 7515 section 4.1.11, RFC 7797
	HeaderKeySource  Reason = "header_key_source"   // jku, jwk, x5u, x5c, x5t: RFC 8725bis 3.10
	HeaderUnexpected Reason = "header_unexpected"   // a parameter besides alg, kid, typ, such as those of JWE
	HeaderNested     Reason = "header_nested"       // cty: RFC 7519 section 5.2
	TypeMismatch     Reason = "type_mismatch"       // typ is not txntoken+jwt, or at the edge not that of an access token: RFC 8725bis 3.11
	AlgorithmBanned  Reason = "algorithm_banned"    // unsigned, or symmetric: RFC 8725bis 3.2
	AlgorithmRefused Reason = "algorithm_refused"   // not in the issuer's list: RFC 8725bis 3.1
	AlgorithmKey     Reason = "algorithm_key"       // not the algorithm of the key: RFC 8725bis 3.1
	KeyIDMissing     Reason = "kid_missing"         // or longer than any thumbprint
	KeyUnknown       Reason = "kid_unknown"         // not a key of this issuer
	KeysUnavailable  Reason = "keys_unavailable"    // there is no usable key set of this issuer
	SignatureInvalid Reason = "signature_invalid"   // RFC 7515 section 5.2
	IssuerUnknown    Reason = "issuer_unknown"      // RFC 8725bis 3.8
	NotEntitled      Reason = "issuer_not_entitled" // the issuer may not assert this subject namespace or requester
	AudienceMismatch Reason = "audience_mismatch"   // RFC 8725bis 3.9
	TimeInvalid      Reason = "time_invalid"        // exp or iat absent, not a positive integer, or out of order
	TokenExpired     Reason = "token_expired"
	TokenNotYetValid Reason = "token_not_yet_valid"
	LifetimeTooLong  Reason = "lifetime_too_long"
	ClaimsInvalid    Reason = "claims_invalid" // a required claim is absent, empty, too long or of the wrong type
	TestToken        Reason = "test_token"     // tctx.test: minted for tests, and not accepted here
	TokenRevoked     Reason = "token_revoked"  // its transaction, session, user or key is revoked
)

// Reasons of the edge, before a token exists.
const (
	Issued             Reason = "issued"              // a token was signed
	Anonymous          Reason = "anonymous"           // passed on without identity, as configured
	NoSession          Reason = "no_session"          // an ignored endpoint: Tyk authenticated no session
	SessionInactive    Reason = "session_inactive"    // the gateway itself would deny the request next
	SessionUnsupported Reason = "session_unsupported" // we cannot read this kind of session
	SubjectUnknown     Reason = "subject_unknown"     // no stable subject can be derived
	ClaimsUnavailable  Reason = "claims_unavailable"  // the gateway did not hand over the verified claims
	ClaimsUnbound      Reason = "claims_unbound"      // the claims belong to another session than this one
	CredentialExpiring Reason = "credential_expiring" // less than minRemaining is left
	LoopSubject        Reason = "loop_subject"        // an internal loop came back with another subject
	ConfigInvalid      Reason = "config_invalid"      // the API's own settings are rejected
	ResponseCache      Reason = "response_cache"      // the gateway would answer from a cache that mixes callers
	DetailedRecording  Reason = "detailed_recording"  // the gateway would write the token into its analytics
	GuardMissing       Reason = "guard_missing"       // the API has no hook that checks where its requests go
	UpstreamRefused    Reason = "upstream_refused"    // the request would leave the mesh with the token
	NotConfigured      Reason = "not_configured"      // the plugin has no usable configuration
	NoSigningKey       Reason = "no_signing_key"      // no key may sign now
	MintFailed         Reason = "mint_failed"         // the identity does not fit into a token that a hop would accept
)

// classes is the closed list of reasons. A reason that is missing is Denied. A test
// compares the list with the constants.
var classes = map[Reason]Class{
	RuleAllowed: Allowed, Public: Allowed, Issued: Allowed, Anonymous: Allowed,
	Unenforced: Allowed, Overridden: Allowed, OutageAllowed: Allowed,

	RuleDenied: Denied, ConditionError: Denied, NoRule: Denied, Unguarded: Denied,
	AmbiguousPath: Denied, AmbiguousMethod: Denied, AmbiguousHost: Denied, AmbiguousHeader: Denied, NoCallee: Denied, NoHTTP: Denied, BadPrincipal: Denied, ClientRefused: Denied,
	NotEntitled: Denied, LoopSubject: Denied, SubjectUnknown: Denied,

	TokenMissing: Unauthenticated, TokenDuplicated: Unauthenticated, TokenTooLarge: Unauthenticated,
	TokenCharset: Unauthenticated, TokenFormat: Unauthenticated, TokenBase64: Unauthenticated,
	TokenJSON: Unauthenticated, TokenTooDeep: Unauthenticated, HeaderCritical: Unauthenticated, HeaderKeySource: Unauthenticated,
	HeaderUnexpected: Unauthenticated, HeaderNested: Unauthenticated, TypeMismatch: Unauthenticated, AlgorithmBanned: Unauthenticated, AlgorithmRefused: Unauthenticated,
	AlgorithmKey: Unauthenticated, KeyIDMissing: Unauthenticated, KeyUnknown: Unauthenticated,
	SignatureInvalid: Unauthenticated, IssuerUnknown: Unauthenticated, AudienceMismatch: Unauthenticated,
	TimeInvalid: Unauthenticated, TokenExpired: Unauthenticated, TokenNotYetValid: Unauthenticated,
	LifetimeTooLong: Unauthenticated, ClaimsInvalid: Unauthenticated, TestToken: Unauthenticated, TokenRevoked: Unauthenticated,

	NoSession: Unauthenticated, SessionInactive: Unauthenticated, ClaimsUnbound: Unauthenticated,
	CredentialExpiring: Unauthenticated,

	CheckTooLarge: Denied, TooManyHeaders: Denied,
	Overloaded: Unavailable, DeadlineExceeded: Unavailable, AuditUnavailable: Unavailable,
	RevocationStale: Unavailable, KeysUnavailable: Unavailable,
	NotConfigured: Unavailable, NoSigningKey: Unavailable, PolicyRefused: Unavailable,

	SessionUnsupported: Broken, ClaimsUnavailable: Broken, ConfigInvalid: Broken, MintFailed: Broken,
	ResponseCache: Broken, DetailedRecording: Broken, GuardMissing: Broken, UpstreamRefused: Broken, Panic: Broken,
}

// outages is the closed list of reasons that can be an outage. Nothing that a requester,
// a partner or our own load can cause is in it: such a reason denies, even where all
// documents have onOutage: allow. A test compares the list.
var outages = map[Reason]bool{KeysUnavailable: true, RevocationStale: true}
