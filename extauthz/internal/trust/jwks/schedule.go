package jwks

import (
	"math/rand/v2"
	"time"
)

// bounds are limits that neither a server nor a client can change.
type bounds struct {
	timeout          time.Duration // of a fetch, from the look-up of the name to the last byte
	retry            time.Duration // wait after the first failure; doubled after each further one
	missingPause     time.Duration // least time between two fetches for missing keys
	missingLongPause time.Duration // longest time between two fetches for one missing key
}

var defaultBounds = bounds{timeout: 5 * time.Second, retry: time.Second, missingPause: 10 * time.Second, missingLongPause: time.Minute}

// waitAfterSuccess is the time to the next fetch: the max-age of the server, at most the
// configured refresh, because key rotations rely on it, and not so short that it is a
// flood.
func (b bounds) waitAfterSuccess(maxAge, refresh time.Duration) time.Duration {
	if maxAge <= 0 || maxAge > refresh {
		return refresh
	}
	return max(maxAge, refresh/10, b.retry)
}

// waitAfterFailure doubles with each failure before this one, up to the configured
// refresh.
func (b bounds) waitAfterFailure(failures int, refresh time.Duration) time.Duration {
	return min(refresh, b.retry<<min(failures, 16))
}

// jitter shortens d by up to 10 %, so that replicas do not fetch at the same moment.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/10+1) }
