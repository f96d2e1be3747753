// Package token mints the internal token and verifies it. Edge and hops use the same
// code.
//
// # The token
//
// A token is an IETF Transaction Token ([identity.Draft]): a JWS in compact
// serialization (RFC 7515) with the type txntoken+jwt, at most [MaxBytes] long. Its
// claims name the user (sub), the user's scopes, the gateway that signed (iss, req_wl),
// the one deployment that may accept it (aud) and the request (txn). It lives for at
// most [MaxLifetime]. docs/token.md is the whole contract, for readers in any language.
//
// # Minting
//
// A [Minter] turns an [identity.Identity] into a token ([Minter.Mint]). It applies the
// verifier's rules to everything that it signs, so that an identity that does not fit
// into a token fails at the edge and not at the first hop. At the start it signs with
// each of its keys and verifies the result ([Minter.SelfTest] does so at any time).
//
// # Verifying
//
// A [Verifier] accepts the tokens of the issuers in its [Trust] entries, and nothing
// else ([Verifier.Verify]). It splits and decodes a token by its own strict rules before
// any library sees it: general libraries accept more than one spelling of a token,
// ignore the header parameter crit, and read exp 0 as "never expires".
//
// A verifier never changes. New keys, issuers or settings make a new verifier. A [Cache]
// may be handed from one to the next; it keeps nothing of what the older one accepted.
//
// # Errors
//
// The error of both is an [*Error]: a stable reason code for the client, the audit
// record and the metrics, and a cause for the log of the server. Neither holds a part of
// the token. Each rule has a reason of its own. Comments give the number of the rule in
// docs/token.md in brackets, and [RuleNumber] returns it.
package token
