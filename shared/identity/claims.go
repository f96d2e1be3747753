package identity

// Lookup returns the claim at a path: the name of a claim, followed by names of members
// for the objects tctx and rctx. ok is false if there is no such claim, and for nil
// claims.
func (c *Claims) Lookup(path ...string) (value any, ok bool) {
	if c == nil || len(path) == 0 {
		return nil, false
	}
	value, ok = c.lookupName(path[0])
	for _, name := range path[1:] {
		members, isObject := value.(map[string]any)
		if !isObject {
			return nil, false
		}
		value, ok = members[name]
	}
	return value, ok
}

func (c *Claims) lookupName(name string) (any, bool) {
	switch name {
	case "iss":
		return c.Issuer, true
	case "aud":
		return c.Audience, true
	case "sub":
		return c.Subject, true
	case "txn":
		return c.Txn, true
	case "scope":
		return c.Scope, true
	case "req_wl":
		return c.Requester, true
	case "tctx":
		return c.Tctx, true
	case "rctx":
		return c.Rctx, true
	}
	return nil, false
}
