package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
)

// Without Redis, Tyk has the limits and sessions of its own memory only. What it lets through is
// signed: the plugin needs no Redis.
func TestRedisAway(t *testing.T) {
	users := `{` + twoTenants + `}`
	apis := []definition{{"key-tyk", `{}`, true}, {"key-ours", `{}`, false}, {"user-tyk", users, true}, {"user-ours", users, false}}
	limited := answer{429, "Rate Limit Exceeded", unreached}
	unknown := answer{403, "Access to this API has been disallowed", unreached}
	for _, limiter := range []struct {
		name, conf string
		tyk, ours  answer // to a user
	}{
		{"limiter in Redis", `{"enable_redis_rolling_limiter": true}`, limited, limited},
		{"limiter in memory", `{"enable_redis_rolling_limiter": false}`, answer{200, "", theirs}, answer{200, "", signed}},
	} {
		t.Run(limiter.name, func(t *testing.T) {
			r := start(t, setup{conf: limiter.conf, apis: apis}).serving(t)
			r.redis.Close()
			for _, c := range []struct {
				call call
				want answer
			}{
				{call{path: "/user-tyk/", as: "acme"}, limiter.tyk}, {call{path: "/user-ours/", as: "acme"}, limiter.ours},
				{call{path: "/key-tyk/", as: "key"}, unknown}, {call{path: "/key-ours/", as: "key"}, unknown},
			} {
				if got := r.send(t, c.call); got.answer != c.want {
					t.Errorf("%s: got %+v, want %+v", c.call.path, got.answer, c.want)
				}
			}
		})
	}
	t.Run("a key that was used before", func(t *testing.T) {
		r := start(t, setup{conf: `{"enable_redis_rolling_limiter": false}`, apis: apis}).serving(t)
		if got := r.canary(t); got.upstream != signed {
			t.Fatalf("got %+v", got.answer)
		}
		r.redis.Close()
		r.await(t, func(context.Context) error {
			got := r.canary(t)
			if got.status == http.StatusOK && got.upstream == signed {
				return fmt.Errorf("the gateway still remembers the key: %+v", got.answer)
			}
			if got.answer != unknown {
				t.Errorf("got %+v, want %+v", got.answer, unknown)
			}
			return nil
		})
	})
}
