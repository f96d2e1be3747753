package jwks

import "time"

// bounds are what no server and no client can change.
type bounds struct {
	timeout time.Duration // of a fetch, from the name's look-up to the last byte
	retry   time.Duration // after the first failure; doubled for each further one
	pause   time.Duration // least time between fetches for missing keys
	longest time.Duration // the longest wait between fetches for the same missing key
}

var defaults = bounds{timeout: 5 * time.Second, retry: time.Second, pause: 10 * time.Second, longest: time.Minute}

// clampMaxAge is the time to the next fetch: what the server asks for, as long as that
// is no longer than configured, which rotations count on, and no flood.
func (b bounds) clampMaxAge(maxAge, refresh time.Duration) time.Duration {
	if maxAge <= 0 || maxAge > refresh {
		return refresh
	}
	return max(maxAge, refresh/10, b.retry)
}
