package check

import (
	"fmt"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshpass/meshpass/extauthz/internal/peers"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/policy"
)

// Asked is a Check that was recorded, as a listener reads it.
type Asked struct {
	policy.Request
	Refusal decision.Reason // why it cannot be judged; empty: it can
	Token   string          // that it carries; empty: see NoToken
	NoToken decision.Reason
}

// ReadJSON reads a CheckRequest in the JSON form of protobuf, as a log of the gRPC
// call holds it.
func ReadJSON(data []byte, sides peers.Peers, now time.Time) (Asked, error) {
	var request auth.CheckRequest
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(data, &request); err != nil {
		return Asked{}, fmt.Errorf("a CheckRequest in JSON: %w", err)
	}
	q := read(&request, sides, now)
	raw, refusal := q.headers.token()
	return Asked{Request: q.Request, Refusal: q.refusal, Token: raw, NoToken: refusal}, nil
}
