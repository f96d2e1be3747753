package keyset

import (
	"crypto/rsa"
	"math/big"
)

// rocaPrimes are the primes of [isROCA]. Fewer than one random modulus in a hundred million
// is taken for a weak one.
var rocaPrimes = []int64{
	3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
	101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
}

// isROCA recognises a modulus that was made by the smart cards and TPMs of CVE-2017-15361.
// The private key can be computed from it. Such a modulus is a power of 65537 modulo every
// small prime.
func isROCA(key *rsa.PublicKey) bool {
	for _, prime := range rocaPrimes {
		remainder := new(big.Int).Mod(key.N, big.NewInt(prime)).Int64()
		if !isPowerOf65537(remainder, prime) {
			return false
		}
	}
	return true
}

func isPowerOf65537(remainder, prime int64) bool {
	power := int64(1)
	for range prime {
		if power == remainder {
			return true
		}
		power = power * 65537 % prime
	}
	return false
}
