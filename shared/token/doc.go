// Package token signs identities and verifies them: the one code path that the
// edge and every hop share.
//
// A token is an IETF Transaction Token (see identity.Draft): a compact JWS of
// type txntoken+jwt. [Minter.Mint] builds one, [Verifier.Verify] accepts what a
// trusted issuer minted and nothing else. The verifier splits and decodes a
// token by its own strict rules before any library sees it, because general
// libraries accept more than one spelling of the same token, ignore the header
// parameter crit, and treat exp 0 as no expiry.
//
// Each rule has its own reason code; the numbers in comments are the rows of
// docs/token.md.
package token
