package redislist

import (
	"fmt"

	"github.com/redis/go-redis/v9"
)

// checkRole reads the answer of ROLE (https://redis.io/docs/latest/commands/role/): a
// primary, or a replica whose link to its primary is up. A replica lags a little; one
// that is cut off, is still copying, or whose role is none that we know may hold any
// list.
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
		return fmt.Errorf("%w: it is a replica whose link to its primary is %s: name the primary", ErrCutOff, link)
	case "sentinel":
		return fmt.Errorf("%w: it is a Sentinel, which holds no list: name the primary", ErrCutOff)
	default:
		return fmt.Errorf("%w: its role is %.32q", ErrCutOff, role)
	}
}

// explainRole tells an operator what lets us ask for the role. An answer of the server
// to ROLE itself is [ErrNoRole]; everything else, such as a connection that breaks or a
// password that is wrong, is left as it is.
func (c Config) explainRole(err error) error {
	switch {
	case redis.IsPermissionError(err):
		user := c.Username
		if user == "" {
			user = "default"
		}
		return fmt.Errorf("%w: %w; run ACL SETUSER %s +role, and add +role to that user's line in the ACL file", ErrNoRole, err, user)
	case redis.HasErrorPrefix(err, "unknown command"):
		return fmt.Errorf("%w: %w; do not rename or disable it, and use no proxy that does not know it", ErrNoRole, err)
	}
	return err
}
