package decide_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
)

// ours is the element that a sidecar of Istio 1.31 appends for the workload orders.
const (
	orders  = "spiffe://cluster.local/ns/shop/sa/orders"
	trusted = "spiffe://cluster.local/ns/edge/sa/tyk-gateway"
	ours    = `By=spiffe://cluster.local/ns/meshpass/sa/meshpass;Hash=0a1b2c;Subject="";URI=` + orders
)

func TestLastURIOfXFCC(t *testing.T) {
	for _, row := range []struct {
		name, header, want string
		err                error
	}{
		{"a sidecar's", ours, orders, nil},
		{"after another proxy's", "By=a;URI=" + trusted + "," + ours, orders, nil},
		{"quoted", `URI="` + orders + `"`, orders, nil},
		{"separators in quotes", `Subject="CN=a,O=b;URI=` + trusted + `";URI=` + orders, orders, nil},
		{"escaped quotes", `Subject="CN=\"a\\\",URI=` + trusted + `";URI=` + orders, orders, nil},
		{"a subject that ends in a backslash", `Subject="CN=a\\";URI=` + orders, orders, nil},
		{"keys that are new", `Issuer="CN=x";URI=` + orders, orders, nil},
		{"nothing", "", "", decide.ErrXFCCMalformed},
		{"no URI", `By=a;Subject="CN=x"`, "", decide.ErrXFCCWithoutURI},
		{"an empty URI", "By=a;URI=", "", decide.ErrXFCCWithoutURI},
		{"two URIs", "URI=" + trusted + ";URI=" + orders, "", decide.ErrXFCCWithoutURI},
		{"a URI in the element before", "URI=" + trusted + ",By=a", "", decide.ErrXFCCWithoutURI},
		{"a key in another case", "uri=" + trusted, "", decide.ErrXFCCWithoutURI},
		{"an element that is empty", ours + ",", "", decide.ErrXFCCMalformed},
		{"a pair that is empty", ours + ";", "", decide.ErrXFCCMalformed},
		{"a space", ours + ", " + ours, "", decide.ErrXFCCMalformed},
		{"no key", "=" + orders, "", decide.ErrXFCCMalformed},
		{"no value", "URI", "", decide.ErrXFCCMalformed},
		{"text after a quote", `URI="` + trusted + `"x`, "", decide.ErrXFCCMalformed},
		{"a quote inside", `URI=spiffe://a"b`, "", decide.ErrXFCCMalformed},
		{"a backslash outside quotes", `URI=spiffe://a\`, "", decide.ErrXFCCMalformed},
		{"an equals sign outside quotes", "URI=spiffe://a=b", "", decide.ErrXFCCMalformed},
		{"an open quote", `URI="` + orders, "", decide.ErrXFCCMalformed},
		{"an open escape", `URI="` + orders + `\`, "", decide.ErrXFCCMalformed},
		{"an open quote before ours", `URI=` + trusted + `;Subject="` + "," + ours, "", decide.ErrXFCCMalformed},
		{"an open escape before ours", `URI=` + trusted + `;Subject="\` + "," + ours, "", decide.ErrXFCCMalformed},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got, err := decide.LastURIOfXFCC(row.header); got != row.want || !errors.Is(err, row.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, row.want, row.err)
			}
		})
	}
}

// Text that a caller writes before the element of our proxy never changes the caller's name.
func FuzzXFCCLastElementWins(f *testing.F) {
	for _, seed := range []string{"", ours, `Subject="`, `Subject="\`, `URI=` + trusted + `;Subject="x`, `a=b;`, strings.Repeat(`"`, 7)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, prefix string) {
		got, err := decide.LastURIOfXFCC(prefix + "," + ours)
		if err == nil && got != orders {
			t.Errorf("%q speaks for %q", prefix, got)
		}
	})
}
