package redislist

import (
	"fmt"

	"github.com/redis/go-redis/v9"
)

// checkRole reads the answer of ROLE (https://redis.io/docs/latest/commands/role/). It
// admits a primary, and a replica whose link to its primary is up: such a replica lags
// a little. A replica without that link, or that is still copying, and a server with an
// unknown role may hold any list.
func checkRole(answer any) error {
	parts, _ := answer.([]any)
	if len(parts) == 0 {
		return fmt.Errorf("%w: ROLE answers %.64q", ErrCutOff, fmt.Sprint(answer))
	}
	switch role, _ := parts[0].(string); role {
	case "master":
		return nil
	case "slave":
		link := "unknown"
		if len(parts) > 3 {
			link = fmt.Sprintf("%.32q", fmt.Sprint(parts[3]))
		}
		if link == `"connected"` {
			return nil
		}
		return fmt.Errorf("%w: it is a replica whose link to its primary is %s: configure the address of the primary", ErrCutOff, link)
	case "sentinel":
		return fmt.Errorf("%w: it is a Sentinel, which holds no list: configure the address of the primary", ErrCutOff)
	default:
		return fmt.Errorf("%w: its role is %.32q", ErrCutOff, role)
	}
}

// explainRoleError adds to an error of ROLE what the operator must do. An answer of the
// server to ROLE itself becomes [ErrNoRole]. Any other error, such as a broken connection
// or a wrong password, is returned as it is. An empty user is Redis's "default".
func explainRoleError(err error, user string) error {
	switch {
	case redis.IsPermissionError(err):
		if user == "" {
			user = "default"
		}
		return fmt.Errorf("%w: %w; run ACL SETUSER %s +role, and add +role to that user's line in the ACL file", ErrNoRole, err, user)
	case redis.HasErrorPrefix(err, "unknown command"):
		return fmt.Errorf("%w: %w; do not rename or disable it, and do not use a proxy without it", ErrNoRole, err)
	}
	return err
}
