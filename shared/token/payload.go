package token

import "github.com/meshpass/meshpass/shared/identity"

// payload is the claims set of a new token, in the order of the text. The names are fixed.
// Names and values from the configuration are members of tctx.
type payload struct {
	Issuer    string         `json:"iss"`
	Audience  string         `json:"aud"`
	IssuedAt  int64          `json:"iat"`
	Expires   int64          `json:"exp"`
	Txn       string         `json:"txn"`
	Subject   string         `json:"sub"`
	Scope     string         `json:"scope"`
	Requester string         `json:"req_wl"`
	Tctx      map[string]any `json:"tctx"`
	Rctx      map[string]any `json:"rctx"`
}

// checkIdentity rejects an identity that a token would carry in another form, or that
// takes a reserved name. The rules of the verifier are applied to the token itself.
func checkIdentity(id identity.Identity) error {
	if err := CheckSubject(id.Subject); err != nil {
		return err
	}
	if err := CheckScopes(id.Scopes); err != nil {
		return err
	}
	for name := range id.Claims {
		if err := CheckClaimName(name); err != nil {
			return err
		}
	}
	return nil
}

// transactionContext returns the claim tctx.
func transactionContext(id identity.Identity) map[string]any {
	members := map[string]any{}
	for name, value := range id.Claims {
		members[name] = value
	}
	if id.API != (identity.API{}) {
		members["api"] = map[string]any{"id": id.API.ID, "name": id.API.Name}
	}
	setText(members, "org", id.Org)
	setText(members, "auth", id.Method)
	setText(members, "sid", id.SessionID)
	return members
}

// requesterContext returns the claim rctx.
func requesterContext(id identity.Identity) map[string]any {
	members := map[string]any{}
	setText(members, "ip", id.IP)
	if !id.AuthTime.IsZero() {
		members["auth_time"] = id.AuthTime.Unix()
	}
	return members
}

func setText(members map[string]any, name, value string) {
	if value != "" {
		members[name] = value
	}
}
