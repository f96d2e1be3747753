package keyset

import (
	"crypto/rsa"
	"math/big"
)

// rocaPrimes are those whose powers of 65537 the test below looks at; of random
// keys, fewer than one in a hundred million passes all of them.
var rocaPrimes = []int64{
	3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
	101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
}

// roca recognises moduli made by the smart cards and TPMs of CVE-2017-15361, whose
// private half can be computed from the public one: by every small prime they
// leave a power of 65537.
func roca(key *rsa.PublicKey) bool {
	for _, prime := range rocaPrimes {
		rest := new(big.Int).Mod(key.N, big.NewInt(prime)).Int64()
		if !powerOf65537(rest, prime) {
			return false
		}
	}
	return true
}

func powerOf65537(rest, prime int64) bool {
	power := int64(1)
	for range prime {
		if power == rest {
			return true
		}
		power = power * 65537 % prime
	}
	return false
}
