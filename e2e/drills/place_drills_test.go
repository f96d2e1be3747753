package drills

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// column is a column of the page's table of outages at other places: the way of a request, and how providers fail on it.
type column struct {
	name   string
	to     string      // workload
	opened requestKind // requests of a drill that the place's Envoy lets pass without an answer
}

// The columns, in the order of the page.
var (
	waypointClosed     = column{"waypoint, closed", "orders", 0}
	waypointOpen       = column{"waypoint, open", "orders", requestKinds}
	gatewayClosed      = column{"gateway, closed", "orders", 0}
	gatewayOpen        = column{"gateway, open", "reports", requestKinds}
	gatewayOpenInFront = column{"gateway open, workload closed", "orders", requestKinds}
	columns            = []column{waypointClosed, waypointOpen, gatewayClosed, gatewayOpen, gatewayOpenInFront}
)

// placeRig is a rig for some columns of the table.
type placeRig struct {
	name    string
	setup   rigSetup
	columns []column
}

func placeRigs() []placeRig {
	return []placeRig{
		{"closed waypoint", rigSetup{place: waypoint}, []column{waypointClosed}},
		{"open waypoint", rigSetup{place: openPlace(waypoint), edits: []fileEdit{failOpen("9010")}}, []column{waypointOpen}},
		{"closed gateway", rigSetup{place: ingress}, []column{gatewayClosed}},
		{"open gateway", rigSetup{place: openPlace(ingress), edits: []fileEdit{
			failOpen("9020"), {"cluster/reports.yaml", `meshpass.dev/guarded: "true"`, "meshpass.dev/guarded: open"},
		}}, []column{gatewayOpen, gatewayOpenInFront}},
	}
}

// failOpen is what a user changes in the provider of a waypoint or of a gateway: both are shipped closed.
func failOpen(port string) fileEdit {
	const closedProvider = "          timeout: 0.25s\n          failOpen: false\n          statusOnError: \"503\"\n"
	return fileEdit{"istio/install.yaml", "          port: " + port + "\n" + closedProvider, "          port: " + port + "\n          timeout: 0.25s\n          failOpen: true\n"}
}

// openPlace adds what a user of an open provider applies beside it: a copy of backstop.yaml for the place's Envoy.
func openPlace(p place) place {
	if p.outside {
		p.called = append(slices.Clone(p.called), "reports")
	}
	selector := "selector:\n    matchLabels:\n      meshpass.dev/guarded: open\n"
	target, namespace := "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: waypoint}]\n", "shop"
	if p.outside {
		target, namespace = "selector: {matchLabels: {istio: ingressgateway}}\n", "istio-system"
	}
	prepare := p.prepare
	p.prepare = func(t *testing.T, r *rig) {
		prepare(t, r)
		shipped := string(mustGet(os.ReadFile(r.filePath("istio", "backstop.yaml")))(t))
		if strings.Count(shipped, selector) != 2 {
			t.Fatal("backstop.yaml: want two selectors")
		}
		own := strings.NewReplacer(selector, target, "name: meshpass-backstop", "name: meshpass-backstop-place", "namespace: istio-system", "namespace: "+namespace)
		must(t, os.WriteFile(r.placeBackstop(), []byte(own.Replace(shipped)), 0o644))
	}
	return p
}

func (r *rig) placeBackstop() string { return r.filePath("place", "backstop.yaml") }

// placeDrill is an outage at a waypoint and at an ingress gateway: a row of the page's table.
type placeDrill struct {
	name     string
	cause    fault
	want     map[string]answers // by column; without one the drill does not apply
	answered bool               // Envoy gets an answer, and counts no error
	run      func(d placeDrill, t *testing.T, r *rig, at []column)
}

// An outage has these answers at all places, whatever causes it.
func outageAnswers() map[string]answers {
	return map[string]answers{
		waypointClosed.name: unavailable, waypointOpen.name: backstop,
		gatewayClosed.name: unavailable, gatewayOpen.name: backstop, gatewayOpenInFront.name: closedBehind,
	}
}

func placeDrills() []placeDrill {
	everywhere := func(name string, cause fault) placeDrill {
		return placeDrill{name: name, cause: cause, want: outageAnswers(), run: placeDrill.breakAll}
	}
	return []placeDrill{
		everywhere("authorizer down", func(t *testing.T, r *rig) func() {
			return func() { r.startAuthorizer(t, authorizerHost) }
		}),
		everywhere("authorizer hangs", pauseAuthorizer),
		everywhere("network slower than the timeout", slowNetwork),
		everywhere("something else answers: HTTP/1.1", answersHTTP1),
		everywhere("something else answers: another gRPC service", answersGRPC(func(*grpc.Server) {})),
		everywhere("something else answers: garbled messages", answersGRPC(registerEmpty, garble)),
		{name: "something else answers: an empty CheckResponse", cause: answersGRPC(registerEmpty), answered: true, run: placeDrill.breakAll, want: map[string]answers{
			waypointClosed.name: allowed, waypointOpen.name: backstop,
			gatewayClosed.name: allowed, gatewayOpen.name: backstop, gatewayOpenInFront.name: backstop,
		}},
		{name: "the same, with another workload's certificate", cause: answersAsOrders, run: placeDrill.breakAll, want: map[string]answers{
			waypointClosed.name: unavailable, waypointOpen.name: backstop,
		}},
		everywhere("answer after the deadline", answersLate),
		everywhere("Service without endpoints", withdrawEndpoints),
		{name: "authorizer crashes and is restarted", cause: crash, run: placeDrill.breakAll, want: partlyOutageAnswers()},
		{name: "one of two authorizers crashes", run: breakOneOfTwo((*authorizer).kill), want: partlyOutageAnswers()},
		{name: "one of two authorizers hangs", run: breakOneOfTwo((*authorizer).pause), want: partlyOutageAnswers()},
	}
}

// During a part of an outage, requests are decided or have these answers.
func partlyOutageAnswers() map[string]answers {
	return map[string]answers{
		waypointClosed.name: decided.orAnswers(unavailable), waypointOpen.name: decided.orAnswers(backstop),
		gatewayClosed.name: decidedAtGateway.orAnswers(unavailable), gatewayOpen.name: decidedAtGateway.orAnswers(backstop),
		gatewayOpenInFront.name: decidedAtGateway.orAnswers(closedBehind),
	}
}

// crash ends an authorizer that Envoys are connected to.
func crash(t *testing.T, r *rig) func() {
	a := r.startAuthorizer(t, authorizerHost)
	r.awaitRecovery(t)
	a.kill()
	return func() { r.startAuthorizer(t, authorizerHost) }
}

// answersLate answers after Envoy has given up.
func answersLate(t *testing.T, r *rig) func() {
	_, stop := r.startBehind(t, slowWire{back: answerDelay})
	return r.replaceAuthorizer(t, stop)
}

// answersAsOrders answers every Check with an empty CheckResponse, with the certificate of a workload that is not the authorizer.
func answersAsOrders(t *testing.T, r *rig) func() {
	creds := grpc.Creds(credentials.NewTLS(r.certificateOf(t, "spiffe://cluster.local/ns/shop/sa/orders")))
	return r.replaceAuthorizer(t, r.serveEverywhere(func(address string) func() { return serveGRPC(t, address, registerEmpty, creds) }))
}

// withdrawEndpoints leaves no authorizer ready.
func withdrawEndpoints(t *testing.T, r *rig) func() {
	const ready, unready = "conditions: {ready: true}", "conditions: {ready: false}"
	r.startAuthorizer(t, authorizerHost)
	r.awaitRecovery(t)
	for _, file := range r.place.slices {
		r.editFile(t, fileEdit{file, ready, unready})
	}
	r.awaitMembers(t, 0)
	return func() {
		for _, file := range r.place.slices {
			r.editFile(t, fileEdit{file, unready, ready})
		}
		r.awaitMembers(t, 1)
	}
}

func TestOutagesAtOtherPlaces(t *testing.T) {
	for _, p := range placeRigs() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, p.setup)
			for _, d := range placeDrills() {
				if _, applies := d.want[p.columns[0].name]; applies {
					t.Run(d.name, func(t *testing.T) { d.run(d, t, r, p.columns) })
				}
			}
			if p.columns[0].opened > 0 {
				t.Run("without the backstop", func(t *testing.T) { r.checkWithoutBackstop(t, p.columns[0].to) })
			}
		})
	}
}

// breakAll makes every authorizer unavailable, and shows that all requests are decided again as soon as one is back.
func (d placeDrill) breakAll(t *testing.T, r *rig, at []column) {
	fix := d.cause(t, r)
	for _, c := range at {
		if want := d.want[c.name]; d.answered {
			r.checkEmptyAnswers(t, c.to, want)
		} else {
			r.checkOutage(t, c.to, want, logError, c.opened)
		}
	}
	fix()
	r.awaitRecovery(t)
}

// secondPod is the pod of secondReady: without it, the authorizer's certificate would not be expected at that address.
const (
	secondReady = "  - addresses: [127.77.0.7]\n    conditions: {ready: true}\n    targetRef: {kind: Pod, name: meshpass-2, namespace: meshpass}\n"
	secondPod   = `
apiVersion: v1
kind: Pod
metadata:
  name: meshpass-2
  namespace: meshpass
  labels: {app: meshpass%s}
  annotations: {traffic.sidecar.istio.io/includeInboundPorts: ""}
spec:
  serviceAccountName: meshpass
  containers: [{name: meshpass, image: meshpass}]
status:
  phase: Running
  podIP: %[2]s
  podIPs: [{ip: %[2]s}]
  conditions: [{type: Ready, status: "True"}]
`
)

// breakOneOfTwo returns a drill that shows that the place's Envoy ejects an authorizer that it has lost, as destination-rule.yaml
// says, before its endpoint is withdrawn.
func breakOneOfTwo(lose func(*authorizer)) func(placeDrill, *testing.T, *rig, []column) {
	return func(d placeDrill, t *testing.T, r *rig, at []column) { d.loseOneOfTwo(t, r, at, lose) }
}

func (d placeDrill) loseOneOfTwo(t *testing.T, r *rig, at []column, lose func(*authorizer)) {
	r.startAuthorizer(t, authorizerHost)
	leaving := r.startAuthorizer(t, behindHost)
	label := ""
	if r.place.identity != "" {
		label = ", security.istio.io/tlsMode: istio"
	}
	must(t, os.WriteFile(r.filePath("cluster", "meshpass-2.yaml"), fmt.Appendf(nil, secondPod, label, r.net.Addr(behindHost)), 0o644))
	for _, file := range r.place.slices {
		r.editFile(t, fileEdit{file, "endpoints:\n", "endpoints:\n" + secondReady})
	}
	r.awaitMembers(t, 2)
	r.awaitRecovery(t)
	for _, c := range at {
		r.awaitAnswersOf(t, leaving, c.to)
	}
	before := r.extAuthzCounter(t, at[0].to, "error")
	lose(leaving)
	for _, c := range at {
		eventually(t, "an authorizer is ejected", func() bool {
			if got := r.mustSend(t, r.newRequest(c.to, otherTenant)); !d.want[c.name].admits(otherTenant, got) {
				t.Errorf("%s: got %v, want %s", c.name, got, d.want[c.name].byKind[otherTenant])
			}
			return r.authorizerStat(t, r.askingEnvoys(c.to)[0], "outlier_detection.ejections_active") == 1
		})
	}
	if failed := r.extAuthzCounter(t, at[0].to, "error") - before; failed < 3 {
		t.Errorf("%v Checks failed before an authorizer was ejected, want at least 3", failed)
	}
	for _, file := range r.place.slices {
		r.editFile(t, fileEdit{file, secondReady, ""})
	}
	r.awaitMembers(t, 1)
	r.awaitRecovery(t)
}

// checkWithoutBackstop runs while the authorizer is down. It shows that an open provider alone lets in every request, also one without a token.
func (r *rig) checkWithoutBackstop(t *testing.T, to string) {
	must(t, os.Remove(r.placeBackstop()))
	must(t, os.Remove(r.filePath("istio", "backstop.yaml"))) // of the workload behind it
	eventually(t, "every request is let in", func() bool { return allowed.admits(noToken, r.mustSend(t, r.newRequest(to, noToken))) })
	r.checkAnswers(t, to, allowed, logOK)
}
