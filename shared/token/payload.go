package token

import (
	"slices"
	"strconv"
	"time"

	"github.com/meshpass/meshpass/internal/jsonwrite"
	"github.com/meshpass/meshpass/shared/identity"
)

// The claims of a new token are written in one order, as encoding/json would write them:
// iss, aud, iat, exp, txn, sub, scope, req_wl, tctx, rctx, and the members of tctx and rctx
// by their names. The names are fixed. Names and values from the configuration are members
// of tctx.

// startPayload returns what is the same in each token of a minter.
func startPayload(c MinterConfig) string {
	data := jsonwrite.AppendText([]byte(`{"iss":`), c.Issuer)
	data = jsonwrite.AppendText(append(data, `,"aud":`...), c.Audience)
	return string(append(data, `,"iat":`...))
}

func (m *Minter) appendPayload(data []byte, id identity.Identity, lifetime time.Duration) (_ []byte, err error) {
	if err := checkIdentity(id); err != nil {
		return data, err
	}
	now := m.config.Now()
	data = strconv.AppendInt(append(data, m.issuer...), now.Unix(), 10)
	data = append(data, `,"exp":`...)
	data = strconv.AppendInt(data, now.Add(lifetime).Unix(), 10) // rounded down: never after the end of the credential
	for _, claim := range [...]struct{ start, text string }{
		{`,"txn":`, id.Txn}, {`,"sub":`, id.Subject.String()}, {`,"scope":`, joinScopes(id.Scopes)}, {`,"req_wl":`, id.Requester},
	} {
		data = jsonwrite.AppendText(append(data, claim.start...), claim.text)
	}
	if data, err = m.appendTransactionContext(append(data, `,"tctx":{`...), id); err != nil {
		return data, err
	}
	data = appendRequesterContext(append(data, `},"rctx":{`...), id)
	return append(data, `}}`...), nil
}

// appendTransactionContext appends the members of the claim tctx. No claim has a reserved name.
func (m *Minter) appendTransactionContext(data []byte, id identity.Identity) (_ []byte, err error) {
	var few [24]string
	names := few[:0]
	for name := range id.Claims {
		names = append(names, name)
	}
	if id.API != (identity.API{}) {
		names = append(names, "api")
	}
	texts := [...]struct{ name, text string }{{"org", id.Org}, {"auth", id.Method}, {"sid", id.SessionID}}
	for _, member := range texts {
		if member.text != "" {
			names = append(names, member.name)
		}
	}
	if m.config.Test {
		names = append(names, testMember)
	}
	slices.Sort(names)
	for i, name := range names {
		if i > 0 {
			data = append(data, ',')
		}
		data = append(jsonwrite.AppendText(data, name), ':')
		switch name {
		case "api":
			data = jsonwrite.AppendText(append(data, `{"id":`...), id.API.ID)
			data = append(jsonwrite.AppendText(append(data, `,"name":`...), id.API.Name), '}')
		case "org":
			data = jsonwrite.AppendText(data, id.Org)
		case "auth":
			data = jsonwrite.AppendText(data, id.Method)
		case "sid":
			data = jsonwrite.AppendText(data, id.SessionID)
		case testMember:
			data = append(data, "true"...)
		default:
			if data, err = jsonwrite.AppendValue(data, id.Claims[name]); err != nil {
				return data, err
			}
		}
	}
	return data, nil
}

// appendRequesterContext appends the members of the claim rctx.
func appendRequesterContext(data []byte, id identity.Identity) []byte {
	known := !id.AuthTime.IsZero()
	if known {
		data = strconv.AppendInt(append(data, `"auth_time":`...), id.AuthTime.Unix(), 10)
	}
	if id.IP == "" {
		return data
	}
	if known {
		data = append(data, ',')
	}
	return jsonwrite.AppendText(append(data, `"ip":`...), id.IP)
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
