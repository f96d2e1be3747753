// Package keyset holds the keys of the token: private keys, which sign at a gateway, and
// public keys, which verify at a hop.
//
// # Keys
//
// A key has one algorithm ([ES256], [EdDSA] or [RS256]) and one name, its RFC 7638
// thumbprint with SHA-256: the kid of its tokens. The kind of the key decides the
// algorithm, and nothing in a token can change it.
//
// # The key directory
//
// A gateway reads its keys from a directory with keys.yaml and one KID.pem (PKCS#8) for
// each key ([LoadSigningKeys]). keys.yaml has four times for each key, its [Plan]: when it is
// published, when it begins and ends to sign, and when it is removed. The state of a key is
// a function of these times and the clock: every replica computes the same answer, and a
// rotation needs no second write. [CreateKey] adds a key.
//
// A directory marked test: true holds test keys. They sign test tokens only.
//
// # The key set
//
// A hop reads the public keys of an issuer from a JWKS (RFC 7517) with [ParseJWKS], which
// is as strict as the reader of tokens. [SigningKeys.JWKS] writes the document for the keys
// of a directory, and [MarshalJWKS] writes one for any sets.
//
// Errors never quote a key: it may be a private one.
package keyset
