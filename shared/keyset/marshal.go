package keyset

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
)

// MarshalJWKS writes the keys of one or several sets as one document (RFC 7517
// section 5), sorted by kid. Several together are for readers who know which key
// is whose: within a document nothing tells.
func MarshalJWKS(sets ...*PublicKeys) ([]byte, error) {
	keys := []jwk.Key{}
	for _, set := range sets {
		for kid, public := range set.keys {
			key, err := toJWK(kid, public)
			if err != nil {
				return nil, err
			}
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b jwk.Key) int { return strings.Compare(a.KeyID(), b.KeyID()) })
	return marshalSet(keys)
}

func marshalSet(keys []jwk.Key) ([]byte, error) {
	return json.MarshalIndent(struct {
		Keys []jwk.Key `json:"keys"`
	}{keys}, "", "  ")
}

func toJWK(kid string, public PublicKey) (jwk.Key, error) {
	key, err := jwk.FromRaw(public.key)
	if err != nil {
		return nil, err
	}
	members := []struct {
		name  string
		value any
	}{{jwk.KeyIDKey, kid}, {jwk.AlgorithmKey, jwa.SignatureAlgorithm(public.Algorithm)}, {jwk.KeyUsageKey, jwk.ForSignature}}
	for _, m := range members {
		if err := key.Set(m.name, m.value); err != nil {
			return nil, err
		}
	}
	return key, nil
}
