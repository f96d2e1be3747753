package fidelity_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/identity"
)

// testTokenForms: one token, as the signer wrote it, or none.
func (h *hop) testTokenForms(t *testing.T) {
	valid := tokentest.ValidToken(t, time.Now())
	half := len(valid) / 2
	for _, row := range []struct {
		name, sent string
		reason     string
		sub        string
		arrived    []string
	}{
		{"one", "Txn-Token: " + valid, "rule_allowed", "idp:alice", []string{valid}},
		{"in capitals", "TXN-TOKEN: " + valid, "rule_allowed", "idp:alice", []string{valid}},
		{"white space around", "Txn-Token: \t" + valid + "  ", "rule_allowed", "idp:alice", []string{valid}},
		{"a bare CR, which Envoy drops", "Txn-Token: " + valid[:half] + "\r" + valid[half:], "rule_allowed", "idp:alice", []string{valid}},
		{"none", "X-A: 1", "rule_allowed", "", nil},
		{"empty is none", "Txn-Token:", "rule_allowed", "", nil},
		{"another spelling is none", "txn_token: " + valid, "rule_allowed", "", nil},
		{"called the connection's own, and so gone", "Connection: txn-token\r\nTxn-Token: " + valid, "rule_allowed", "", nil},
		{"doubled", "Txn-Token: " + valid + "\r\ntxn-token: " + valid, "token_duplicated", "", nil},
		{"doubled, one empty", "Txn-Token:\r\ntxn-token: " + valid, "token_duplicated", "", nil},
		{"doubled, one forged", "Txn-Token: " + valid + "\r\nTxn-Token: junk", "token_duplicated", "", nil},
		{"a list", "Txn-Token: " + valid + ", " + valid, "token_duplicated", "", nil},
		{"folded", "Txn-Token: " + valid[:half] + "\r\n " + valid[half:], "token_charset", "", nil},
		{"a byte that is not ASCII", "Txn-Token: " + valid + "\xff", "token_charset", "", nil},
		{"a scheme", "Txn-Token: Bearer " + valid, "token_charset", "", nil},
		{"junk", "Txn-Token: junk", "token_format", "", nil},
		{"above 8 KiB", "Txn-Token: " + strings.Repeat("a", 8193), "token_too_large", "", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := h.try(t, request("/t", row.sent))
			r := o.decision(t)
			equal(t, "reason", r.Reason, row.reason)
			equal(t, "sub", r.Sub, row.sub)
			for _, a := range o.arrived {
				equalLists(t, "token arrived", a.values("txn-token"), row.arrived)
				equalLists(t, "its other spelling", a.values("txn_token"), nil)
			}
		})
	}
}

// testRemoval: of the names that are ours, only a verified token reaches the
// workload, and names that only resemble them are left alone.
func (h *hop) testRemoval(t *testing.T) {
	valid := tokentest.ValidToken(t, time.Now())
	forged := []string{
		"X-Meshpass-Sub: root", "x-meshpass-sub: root", "X_Meshpass_Sub: root", "x-meshpass_sub: root", "X_MESHPASS-TENANT: acme",
		"X-Meshpass-: root", "txn_token: " + valid, "TXN_TOKEN: junk",
	}
	alike := []string{"X-Meshpas-Sub: a", "X-Meshpass: b", "X-Txn-Token: c", "Txn-Tokens: d"}
	for _, row := range []struct {
		name, path, token string
		arrived           []string
	}{
		{"with a verified token", "/r", "Txn-Token: " + valid, []string{valid}},
		{"anonymous", "/r", "X-A: 1", nil},
		{"public", "/healthz", "Txn-Token: " + valid, nil},
		{"public, a bad token", "/healthz", "Txn-Token: junk", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := h.try(t, request(row.path, append(append([]string{row.token}, forged...), alike...)...))
			equal(t, "decision", o.decision(t).Decision, "allow")
			a := o.arrived[0]
			equalLists(t, "token", a.values("txn-token"), row.arrived)
			for _, field := range forged {
				name, _, _ := strings.Cut(field, ":")
				equalLists(t, name, a.values(name), nil)
			}
			for _, field := range alike {
				name, value, _ := strings.Cut(field, ": ")
				equalLists(t, name, a.values(name), []string{value})
			}
		})
	}
}

// testSeparators: with any byte between the words of our names, in HTTP/1.1 and in HTTP/2, no
// such name reaches the workload. Of names that are no tokens (RFC 9110 section 5.6.2) Envoy ends the
// request itself.
func (h *hop) testSeparators(t *testing.T) {
	token := tokentest.ValidToken(t, time.Now())
	for _, row := range []struct{ separators, decision string }{
		{"#$%&'*+.^_`|~", "allow"},
		{"!", "deny"}, // it may stand for a byte that is not UTF-8
		{"\x01\t \"(),/;<=>?@[\\]{}\x7f\x80\xa0\xff", ""},
	} {
		for _, c := range []byte(row.separators) {
			sign := string([]byte{c})
			name, other := "x"+sign+"meshpass"+sign+"sub", "txn"+sign+"token"
			t.Run(fmt.Sprintf("%q", sign), func(t *testing.T) {
				first := h.try(t, request("/s", name+": root", other+": "+token, "Txn-Token: "+token))
				h.h2(t, usual("GET", "/s", name, "root", other, token, "txn-token", token))
				for version, o := range map[string]outcome{"HTTP/1.1": first, "HTTP/2": h.outcome(t, reply{})} {
					if row.decision == "" {
						if len(o.records) != 0 || len(o.arrived) != 0 {
							t.Errorf("%s: decided %+v, arrived %+v; want the end at Envoy", version, o.records, o.arrived)
						}
						continue
					}
					equal(t, version, o.decision(t).Decision, row.decision)
					if row.decision == "deny" {
						equal(t, version, o.records[0].Reason, "ambiguous_header")
						continue
					}
					equalLists(t, "token", o.arrived[0].values("txn-token"), []string{token})
					for _, field := range o.arrived[0].fields {
						if name, _, _ := strings.Cut(field, ":"); identity.IsReservedHeader(name) && name != "txn-token" {
							t.Errorf("%s: %q arrived", version, name)
						}
					}
				}
			})
		}
	}
}
