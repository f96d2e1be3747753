// Package scenarios holds the cases that environments must pass, as data. A file is one case: the
// requests to send, and for each of them the expected answer, audit records and upstream hits.
// [LoadShipped] lists the folders of cases.
//
// An environment (the local mesh, a cluster) is a [Driver]. [Run] plays a case in it.
package scenarios

// Scenario is one file.
type Scenario struct {
	Name  string `yaml:"-"`     // the file's name without folder and extension
	Title string `yaml:"title"` // one line
	About string `yaml:"about"` // the behaviour that it shows, and why that matters
	Steps []Step `yaml:"steps"`
}

// Step is one request, or the same one several times, and the expected outcome of each.
type Step struct {
	Send   Send   `yaml:"send"`
	Times  int    `yaml:"times"` // absent: once
	Expect Expect `yaml:"expect"`
}

// Send is a request: its sender, its destination and its content. These are the ways in:
//
//	to: gateway                                  a client, to Tyk; gateway/NAME where there are several
//	to: ingress                                  a client, to the mesh's ingress gateway over TLS; host names the server,
//	                                             and from, a SPIFFE id, the client certificate
//	to: ingress/plaintext                        the same without TLS
//	from: ns/shop/sa/inventory, to: orders       a workload, through its sidecar: mutual TLS
//	from: ns/shop/sa/inventory, to: outside      the same, to a host outside the mesh
//	from: spiffe://old.example/…, to: orders     a program with a certificate of the mesh's authority for that
//	                                             name: mutual TLS, to the workload's address
//	from: dns:orders.example, to: orders         the same, with a DNS name
//	to: orders                                   any program, in plaintext, to the workload's address
//	to: orders:9099                              the last three ways, to another port
//	from: …, tunnel: waypoint, to: orders        a workload of ambient mode, through a tunnel of its own to the
//	                                             waypoint, or around that to the pod of a workload; to: pod/orders
//	                                             is the pod's own address
type Send struct {
	From    string              `yaml:"from"`    // absent: outside the mesh
	To      string              `yaml:"to"`      // gateway, ingress, or a service of namespace shop
	Tunnel  string              `yaml:"tunnel"`  // workload at the end of a tunnel (HBONE); absent: as the sender's own connections
	Host    string              `yaml:"host"`    // absent: that of the address sent to
	Method  string              `yaml:"method"`  // absent: GET
	Path    string              `yaml:"path"`    // with query
	As      string              `yaml:"as"`      // name of a credential of the environment; absent: no credential
	Token   *Token              `yaml:"token"`   // absent: no token
	Headers map[string][]string `yaml:"headers"` // each value is sent as a header line of its own
	Fill    map[string]int      `yaml:"fill"`    // header → size in bytes of a meaningless value
}

// Token is a token that is signed with a gateway's own key. It represents a token that was stolen
// inside the mesh, or for one that a gateway signs after an attacker has taken it over.
type Token struct {
	By        string            `yaml:"by"`        // name of the gateway; absent: the first
	Subject   string            `yaml:"subject"`   // such as demo:alice
	Scope     string            `yaml:"scope"`     // space-delimited
	Claims    map[string]string `yaml:"claims"`    // mapped claims, such as tenant
	Requester string            `yaml:"requester"` // req_wl; absent: the gateway's own
	Issuer    string            `yaml:"issuer"`    // absent: the gateway's own
}

// Expect is the expected outcome of a request. Status (or Closed), Audit and Hits are always
// compared: without a list of records or hits there must not be any.
type Expect struct {
	Status  int                 `yaml:"status"`
	Closed  bool                `yaml:"closed"`  // the connection ends before any HTTP
	By      string              `yaml:"by"`      // the program that answered: see Answer.AnsweredBy
	Headers map[string]string   `yaml:"headers"` // of the answer; Anything: present
	Body    map[string]string   `yaml:"body"`    // dotted path into the JSON body → value
	Audit   []map[string]string `yaml:"audit"`   // exactly these records, in this order; each lists the fields that count
	Hits    []string            `yaml:"hits"`    // services that the request reached, in order
}

// Anything as an expected value matches every value that is not empty.
const Anything = "*"
