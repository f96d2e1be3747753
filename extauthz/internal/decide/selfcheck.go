package decide

import (
	"context"
	"encoding/base64"
	"log/slog"

	"github.com/meshpass/meshpass/shared/identity"
)

// selfCheckCallee is the callee of the self-check. A document may target it as any other
// workload: only whether there is an answer counts, not which one.
const selfCheckCallee identity.Workload = "ns/meshpass/sa/self-check"

// selfCheckToken has the form of a token. No issuer has an empty name, so the verifier
// denies it by its issuer: a kid that is not known could cause a fetch of keys.
var selfCheckToken = encodeBase64(`{"alg":"ES256","kid":"self-check","typ":"txntoken+jwt"}`) + "." + encodeBase64(`{"iss":""}`) + "." + encodeBase64("none")

func encodeBase64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// CheckSelf decides a question of its own and returns when it has an answer. It takes every
// step of [Decider.Decide] and every lock on its way, and leaves no record, no count and no
// line of the log. It does not return if a decision hangs. A panic counts as an answer,
// because Decide answers it with a denial.
func (d *Decider) CheckSelf(ctx context.Context) {
	defer func() { _ = recover() }() // a Check panics in the same way, and logs it
	config := d.config
	config.Log = slog.New(slog.DiscardHandler)
	request := newSelfCheckRequest()
	now := config.Now()
	ReadRequest(request, config.Peers, now) // the listener's own peers: they may deny the request before a document is read
	config.Peers = Peers{NoCaller: true, Callee: CalleeNamed(selfCheckCallee)}
	e := evaluation{config: &config, received: now, verifier: config.Verifier(), policies: config.Policies()}
	e.answerSafely(ctx, Question{Received: now, Request: request})
	e.authenticate() // the policy asks for it only if a document guards the callee
	e.newRecord()
	config.Audit.Stats() // takes the lock of the queue
}

func newSelfCheckRequest() *Request {
	http := &HTTP{Method: "GET", Path: "/", Host: "self-check", Headers: NewHeaders(1)}
	http.Headers.Add(tokenHeader, selfCheckToken)
	return &Request{Address: "127.0.0.1", Port: 1, HTTP: http}
}
