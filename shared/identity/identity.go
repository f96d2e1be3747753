// Package identity is the contract between the edge and the mesh: who the user is, which
// workloads call each other, and how both are named.
//
// # The user
//
// A gateway fills an [Identity] from a session that it has verified. Package token signs
// it and returns [Claims] at every hop. The token is the value of the header [Header]. A
// hop hands chosen claims to its workload in headers that begin with [HeaderPrefix]. Both
// kinds of headers are reserved: see [IsReservedHeader].
//
// # Workloads
//
// A [Workload] is the name of a caller or a callee. A caller has a SPIFFE id from its
// certificate. [TrustDomains.ParseWorkload] turns that into the short form
// ns/NAMESPACE/sa/ACCOUNT if the id belongs to the mesh. A callee can also be a Service, a
// gateway or an API at the edge ([ServiceCallee], [ParseGateway], [EdgeCallee]). A
// [Pattern] names one or more workloads, as documents write them.
//
// Nothing here reads or writes a token. The package imports the standard library alone,
// so that any layer may depend on it.
package identity

import (
	"strings"
	"time"
)

// Draft is the revision of the IETF Transaction Token draft whose names are used.
const Draft = "draft-ietf-oauth-transaction-tokens-09"

const (
	// Header carries exactly one token and no scheme (draft section 12.1).
	Header = "Txn-Token"
	// HeaderPrefix is the start of every header that hands a claim from a hop to its workload.
	HeaderPrefix = "X-Meshpass-"
	// TxnHeader is the response header with the transaction id, for support tickets.
	TxnHeader = HeaderPrefix + "Txn"
)

// Identity is the input of a token: all that a gateway knows of a user.
type Identity struct {
	Txn       string         // UUIDv7, one for each request at the edge; empty: the minter makes one
	Subject   Subject        // the user, unique in the audience
	Scopes    []string       // of the session, already narrowed
	Requester string         // req_wl: the gateway's own workload name
	API       API            // tctx.api
	Org       string         // tctx.org
	Method    string         // tctx.auth: how the user was authenticated
	SessionID string         // tctx.sid: see [PseudonymKey.Pseudonym]
	Claims    map[string]any // mapped members of tctx, by their configured names
	IP        string         // rctx.ip
	AuthTime  time.Time      // rctx.auth_time; zero: unknown
	NotAfter  time.Time      // end of the caller's own credential; zero: it does not end
}

// Subject is the name of a user. The namespace is the source of the id, such as the alias
// of an identity provider.
type Subject struct{ Namespace, ID string }

// String returns the form of the claim sub, NAMESPACE:ID.
func (s Subject) String() string { return s.Namespace + ":" + s.ID }

// API is the gateway's API that received the request.
type API struct{ ID, Name string }

// Claims is the content of a verified token. Values of Tctx and Rctx have the types
// string, bool, int64, float64, nil, []any and map[string]any.
type Claims struct {
	Issuer, Audience, Subject, Txn, Scope, Requester string

	IssuedAt, Expires time.Time
	Tctx, Rctx        map[string]any
}

// Scopes splits the claim scope at its spaces (RFC 8693 section 4.2).
func (c *Claims) Scopes() []string { return c.AppendScopes([]string{}) }

// AppendScopes appends the scopes to a list.
func (c *Claims) AppendScopes(list []string) []string {
	for rest, more := c.Scope, true; more; {
		var scope string
		if scope, rest, more = strings.Cut(rest, " "); scope != "" {
			list = append(list, scope)
		}
	}
	return list
}

// IsReservedHeader reports whether only Meshpass may write a header of this name: [Header],
// or one that begins with [HeaderPrefix]. Case is ignored, and every byte that is no letter
// or digit counts as "-": servers that hand headers on as CGI variables (RFC 3875 section
// 4.1.18) write X_Meshpass_User, X.Meshpass.User and X-Meshpass-User as one name.
func IsReservedHeader(header string) bool {
	return equalFolded(header, "txn-token") || len(header) >= len(HeaderPrefix) && equalFolded(header[:len(HeaderPrefix)], "x-meshpass-")
}

// ReservedHeaderPattern is a regular expression (RE2) that matches the whole of a lower-case name if and
// only if [IsReservedHeader] holds for it. The configuration of an Envoy uses it.
const ReservedHeaderPattern = `txn[^a-z0-9]token|x[^a-z0-9]meshpass[^a-z0-9].*`

// equalFolded compares byte by byte. want has only lower-case letters, digits and "-".
func equalFolded(name, want string) bool {
	if len(name) != len(want) {
		return false
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		default:
			c = '-'
		}
		if c != want[i] {
			return false
		}
	}
	return true
}
