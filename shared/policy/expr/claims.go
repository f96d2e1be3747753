package expr

import (
	"slices"
	"strings"
)

// ClaimNames are the top-level claims that a document may read.
var ClaimNames = []string{"iss", "aud", "sub", "txn", "scope", "req_wl", "tctx", "rctx"}

// GatewayMembers are the members of tctx that a gateway always writes, with any mapping.
var GatewayMembers = []string{"api", "auth", "org", "sid"}

// IsOptionalMember reports a member of tctx or rctx that a valid token may lack. The
// claim is a dotted name, such as tctx.tenant.
func IsOptionalMember(claim string) bool {
	root, member, nested := strings.Cut(claim, ".")
	return nested && (root != "tctx" || !slices.Contains(GatewayMembers, member))
}
