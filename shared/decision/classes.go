package decision

import "sort"

// classes is the closed list: a reason that is not here is Denied, and a test
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
	Overloaded: Unavailable, DeadlineExceeded: Unavailable,
	RevocationStale: Unavailable, KeysUnavailable: Unavailable,
	NotConfigured: Unavailable, NoSigningKey: Unavailable, PolicyRefused: Unavailable,

	SessionUnsupported: Broken, ClaimsUnavailable: Broken, ConfigInvalid: Broken, MintFailed: Broken,
	ResponseCache: Broken, DetailedRecording: Broken, GuardMissing: Broken, UpstreamRefused: Broken, Panic: Broken,
}

// Class of the reason; of an unknown one: Denied.
func (r Reason) Class() Class { return classes[r] }

// outages is the closed list of reasons that can be an outage for onOutage. What a
// requester, a partner or our own load can cause is never in it: such a reason
// denies whatever the documents say. A test compares the list.
var outages = map[Reason]bool{KeysUnavailable: true, RevocationStale: true}

// CanBeOutage reports whether the reason may count as an outage. Whether one
// request's refusal does is the verifier's to say: of two issuers without keys, only
// a home issuer's tokens meet an outage.
func (r Reason) CanBeOutage() bool { return outages[r] }

// Reasons lists every reason, sorted: the values of the metric's label.
func Reasons() []Reason {
	all := make([]Reason, 0, len(classes))
	for r := range classes {
		all = append(all, r)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	return all
}
