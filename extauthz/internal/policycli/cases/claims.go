package cases

import (
	"fmt"
	"time"

	"github.com/meshpass/meshpass/shared/identity"
)

// claimsSpec are those of a token that was verified.
type claimsSpec struct {
	Issuer    string         `yaml:"iss"`
	Audience  string         `yaml:"aud"`
	Subject   string         `yaml:"sub"`
	Txn       string         `yaml:"txn"`
	Scope     string         `yaml:"scope"`
	Requester string         `yaml:"req_wl"`
	Tctx      map[string]any `yaml:"tctx"`
	Rctx      map[string]any `yaml:"rctx"`
}

func (p *caseParser) readClaims(i int, field string, c claimsSpec) *identity.Claims {
	for _, err := range []error{convertMembers(c.Tctx), convertMembers(c.Rctx)} {
		if err != nil {
			p.addProblem(i, field, "%s", err)
		}
	}
	return &identity.Claims{
		Issuer: c.Issuer, Audience: c.Audience, Subject: c.Subject, Txn: c.Txn, Scope: c.Scope, Requester: c.Requester,
		Tctx: c.Tctx, Rctx: c.Rctx,
	}
}

// convertMembers gives members the types that those of a verified token have: whole
// numbers are int64.
func convertMembers(members map[string]any) (err error) {
	for name := range members {
		if members[name], err = convertValue(members[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func convertValue(value any) (_ any, err error) {
	switch value := value.(type) {
	case int:
		return int64(value), nil
	case map[string]any:
		return value, convertMembers(value)
	case []any:
		for i := range value {
			if value[i], err = convertValue(value[i]); err != nil {
				return nil, err
			}
		}
	case string, bool, int64, float64:
	case time.Time:
		return nil, fmt.Errorf("YAML takes %s for a time: put it in quotes", value.Format(time.DateOnly))
	default:
		return nil, fmt.Errorf("%v can be in no token", value)
	}
	return value, nil
}
