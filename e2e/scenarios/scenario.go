// Package scenarios holds the cases that every environment must pass, as data: one file per case
// says which requests go in, and which answer, which audit records and which upstream hits come out.
// [In] lists the folders.
//
// An environment (the local mesh, a cluster) is a [Driver]; [Run] plays a case against it.
package scenarios

// Scenario is one file.
type Scenario struct {
	Name  string `yaml:"-"`     // the file's name without folder and extension
	Title string `yaml:"title"` // one line
	About string `yaml:"about"` // what it shows, and why that matters
	Steps []Step `yaml:"steps"`
}

// Step is one request, or the same one several times, and what must come of each.
type Step struct {
	Send   Send   `yaml:"send"`
	Times  int    `yaml:"times"` // absent: once
	Expect Expect `yaml:"expect"`
}

// Send says who sends what to whom. Several ways lead in:
//
//	to: gateway                                  a client, to Tyk; gateway/NAME where there are several
//	to: ingress                                  a client, to the mesh's ingress gateway over TLS; host says for whom,
//	                                             and from, a SPIFFE id, which certificate it shows
//	to: ingress/plaintext                        likewise, without TLS
//	from: ns/shop/sa/inventory, to: orders       a workload, through its sidecar: mutual TLS
//	from: ns/shop/sa/inventory, to: outside      likewise, to a host outside the mesh
//	from: spiffe://old.example/…, to: orders     whoever holds a certificate of the mesh's authority with that
//	                                             name: mutual TLS, to the workload's address
//	from: dns:orders.example, to: orders         likewise, with a DNS name
//	to: orders                                   anybody, in plaintext, to the workload's address
//	to: orders:9099                              the three before also: to another port
//	from: …, tunnel: waypoint, to: orders        a workload of ambient mode, through a tunnel of its own to the
//	                                             waypoint, or around that to the pod of a workload; to: pod/orders
//	                                             is the pod's own address
type Send struct {
	From    string              `yaml:"from"`    // absent: outside the mesh
	To      string              `yaml:"to"`      // gateway, ingress, or a service of namespace shop
	Tunnel  string              `yaml:"tunnel"`  // workload to which a tunnel (HBONE) leads; absent: as the sender's own go
	Host    string              `yaml:"host"`    // absent: that of the address sent to
	Method  string              `yaml:"method"`  // absent: GET
	Path    string              `yaml:"path"`    // with query
	As      string              `yaml:"as"`      // name of a credential of the environment; absent: none
	Token   *Token              `yaml:"token"`   // absent: none
	Headers map[string][]string `yaml:"headers"` // each value is sent as a header line of its own
	Fill    map[string]int      `yaml:"fill"`    // header → size in bytes of a meaningless value
}

// Token is one that is signed with a gateway's own key: what was stolen from within the mesh, or what
// a gateway could sign that has been taken over.
type Token struct {
	By        string            `yaml:"by"`        // name of the gateway; absent: the first
	Subject   string            `yaml:"subject"`   // such as demo:alice
	Scope     string            `yaml:"scope"`     // space-delimited
	Claims    map[string]string `yaml:"claims"`    // mapped claims, such as tenant
	Requester string            `yaml:"requester"` // req_wl; absent: the gateway's own
	Issuer    string            `yaml:"issuer"`    // absent: the gateway's own
}

// Expect says what must come of a request. Status (or Closed), Audit and Hits always count; an
// absent list of records or hits means that there are none.
type Expect struct {
	Status  int                 `yaml:"status"`
	Closed  bool                `yaml:"closed"`  // the connection ends before any HTTP is spoken
	By      string              `yaml:"by"`      // who answered: see Answer.By
	Headers map[string]string   `yaml:"headers"` // of the answer; Anything: present
	Body    map[string]string   `yaml:"body"`    // dotted path into the JSON body → value
	Audit   []map[string]string `yaml:"audit"`   // exactly these records, in this order; each lists the fields that count
	Hits    []string            `yaml:"hits"`    // services that the request reached, in order
}

// Anything as an expected value admits every value but an empty one.
const Anything = "*"
