package main

// source is one of the things that a signer is made of, as metrics name it.
type source string

const (
	configSource     source = "config"
	secretSource     source = "secret"
	revocationSource source = "revocation"
	policiesSource   source = "policies"
	keysSource       source = "keys"
)

var sources = []source{configSource, secretSource, revocationSource, policiesSource, keysSource}
