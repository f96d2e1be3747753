package check

import (
	"strings"

	"google.golang.org/protobuf/types/known/structpb"
)

// metadata is what Envoy's access log can say of the decision, by
// %DYNAMIC_METADATA(envoy.filters.http.ext_authz:NAME)%. decision_id is the id
// of the audit record; what is not known is absent. Names are only ever added.
func (c *call) metadata() *structpb.Struct {
	fields := map[string]*structpb.Value{}
	add := func(name, value string) {
		if value != "" {
			// Text that is not UTF-8 cannot be encoded: the answer would become a
			// gRPC error, which failOpen may turn into an allow.
			fields[name] = structpb.NewStringValue(strings.ToValidUTF8(value, "\uFFFD"))
		}
	}
	add("decision_id", c.id)
	add("reason", string(c.decision.Reason))
	add("policy", c.decision.Policy)
	add("folder", c.decision.Folder)
	add("rule", c.decision.Rule)
	if c.claims != nil {
		add("txn", c.claims.Txn)
		add("sub", c.claims.Subject)
	}
	return &structpb.Struct{Fields: fields}
}
