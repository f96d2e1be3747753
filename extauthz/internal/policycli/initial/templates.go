package initial

import "text/template"

var documentTemplate = template.Must(template.New("document").Parse(`# Who may call {{.Callee}}. What no rule allows is denied.
apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: {{.Name}}}
spec:
  targets: {workloads: [{{.Callee}}]}
  rules:
    - name: read-own-tenant
      effect: allow
{{- if .Callers}}
      from: {workloads: [{{.Callers}}]}
{{- end}}
      to: {methods: [GET, HEAD], paths: ["/tenants/{tenant}/**"]}
      scopes: [{{.Scope}}]
      when: claims.tctx.tenant == path.tenant
`))

var casesTemplate = template.Must(template.New("cases").Parse(`# Run with: meshpass policy test. No authorizer reads files of this name.
apiVersion: meshpass.dev/v1
kind: PolicyTest
users:
  reader: {sub: okta:alice, scope: {{.Scope}}, tctx: {tenant: acme}}
  guest: {sub: okta:bob, tctx: {tenant: acme}}
defaults:
  caller: {{.Caller}}
  callee: {{.Callee}}
  request: {method: GET, path: /tenants/acme/items/1}
cases:
  - name: a reader reads what is of the own tenant
    user: reader
    expect: {decision: allow, reason: rule_allowed, rule: {{.Name}}/read-own-tenant}
  - name: a reader reads nothing of another tenant
    user: reader
    request: {path: /tenants/globex/items/1}
    expect: {decision: deny, reason: no_rule}
  - name: a reader does not write
    user: reader
    request: {method: POST}
    expect: {decision: deny, reason: no_rule}
  - name: a user without the scope does not read
    user: guest
    expect: {decision: deny, reason: no_rule}
{{- if .Callers}}
  - name: another caller does not read, also with the token of a reader
    user: reader
    caller: {{.OtherCaller}}
    expect: {decision: deny, reason: no_rule}
{{- end}}
  - name: nobody reads without a token
    expect: {decision: deny, reason: token_missing}
`))
