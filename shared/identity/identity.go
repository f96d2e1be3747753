// Package identity is the contract between the edge and the mesh: who the
// caller is, in which header that travels, and what the names mean.
//
// A gateway fills an [Identity] from a session that it verified. The token
// package signs it, carries it in [Header], and gives back [Claims] at every
// hop. Nothing here reads or writes a token, and nothing but the standard
// library is imported, so that any layer may depend on it.
package identity

import (
	"strings"
	"time"
)

// Draft is the revision of the Transaction Token draft whose names are used.
const Draft = "draft-ietf-oauth-transaction-tokens-09"

const (
	// Header carries exactly one token and no scheme (draft section 12.1).
	Header = "Txn-Token"
	// HeaderPrefix starts every header in which a hop tells a workload who calls.
	HeaderPrefix = "X-Meshpass-"
	// TxnHeader is the response header with the transaction id: what a support ticket quotes.
	TxnHeader = HeaderPrefix + "Txn"
)

// Identity is what a gateway knows of a caller: the input of a token.
type Identity struct {
	Txn       string         // UUIDv7, one per request at the edge; empty: the minter makes one
	Subject   Subject        // who the caller is, unique in the audience
	Scopes    []string       // what the session holds, already narrowed
	Requester string         // req_wl: the gateway's own workload name
	API       API            // tctx.api
	Org       string         // tctx.org
	Method    string         // tctx.auth: how the caller was authenticated
	SessionID string         // tctx.sid: pseudonym of the session key
	Claims    map[string]any // further members of tctx, under configured names
	IP        string         // rctx.ip
	AuthTime  time.Time      // rctx.auth_time; zero: unknown
	NotAfter  time.Time      // end of the caller's own credential; zero: it has none
}

// Subject names a principal: the namespace says who vouches for the id.
type Subject struct{ Namespace, ID string }

// String gives the form of the claim sub.
func (s Subject) String() string { return s.Namespace + ":" + s.ID }

// API names the gateway's API that took the request.
type API struct{ ID, Name string }

// Claims is the content of a token that passed every rule of the verifier.
// Member values of Tctx and Rctx are string, bool, int64, float64, nil,
// []any or map[string]any.
type Claims struct {
	Issuer, Audience, Subject, Txn, Scope, Requester string

	IssuedAt, Expires time.Time
	Tctx, Rctx        map[string]any
}

// Scopes splits the space-delimited claim scope (RFC 8693 section 4.2).
func (c *Claims) Scopes() []string {
	return strings.FieldsFunc(c.Scope, func(r rune) bool { return r == ' ' })
}

// IsReservedHeader reports whether only Meshpass may write a header of this name: the token, or an identity
// header for workloads. Case is ignored, and every byte that is no letter or digit counts as "-":
// servers that hand headers on as CGI variables (RFC 3875 section 4.1.18) write X_Meshpass_User,
// X.Meshpass.User and X-Meshpass-User as one name.
func IsReservedHeader(header string) bool {
	return equalFolded(header, "txn-token") || len(header) >= len(HeaderPrefix) && equalFolded(header[:len(HeaderPrefix)], "x-meshpass-")
}

// equalFolded compares byte by byte; want is lower-case letters, digits and "-".
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
