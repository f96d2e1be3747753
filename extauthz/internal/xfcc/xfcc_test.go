package xfcc_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/xfcc"
)

// What a sidecar of Istio 1.31 appends for the workload orders.
const (
	orders  = "spiffe://cluster.local/ns/shop/sa/orders"
	trusted = "spiffe://cluster.local/ns/edge/sa/tyk-gateway"
	ours    = `By=spiffe://cluster.local/ns/meshpass/sa/meshpass;Hash=0a1b2c;Subject="";URI=` + orders
)

func TestCaller(t *testing.T) {
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
		{"nothing", "", "", xfcc.ErrMalformed},
		{"no URI", `By=a;Subject="CN=x"`, "", xfcc.ErrNoURI},
		{"an empty URI", "By=a;URI=", "", xfcc.ErrNoURI},
		{"two URIs", "URI=" + trusted + ";URI=" + orders, "", xfcc.ErrNoURI},
		{"a URI in the element before", "URI=" + trusted + ",By=a", "", xfcc.ErrNoURI},
		{"a key in another case", "uri=" + trusted, "", xfcc.ErrNoURI},
		{"an element that is empty", ours + ",", "", xfcc.ErrMalformed},
		{"a pair that is empty", ours + ";", "", xfcc.ErrMalformed},
		{"a space", ours + ", " + ours, "", xfcc.ErrMalformed},
		{"no key", "=" + orders, "", xfcc.ErrMalformed},
		{"no value", "URI", "", xfcc.ErrMalformed},
		{"text after a quote", `URI="` + trusted + `"x`, "", xfcc.ErrMalformed},
		{"a quote inside", `URI=spiffe://a"b`, "", xfcc.ErrMalformed},
		{"a backslash outside quotes", `URI=spiffe://a\`, "", xfcc.ErrMalformed},
		{"an equals sign outside quotes", "URI=spiffe://a=b", "", xfcc.ErrMalformed},
		{"an open quote", `URI="` + orders, "", xfcc.ErrMalformed},
		{"an open escape", `URI="` + orders + `\`, "", xfcc.ErrMalformed},
		{"an open quote before ours", `URI=` + trusted + `;Subject="` + "," + ours, "", xfcc.ErrMalformed},
		{"an open escape before ours", `URI=` + trusted + `;Subject="\` + "," + ours, "", xfcc.ErrMalformed},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got, err := xfcc.Caller(row.header); got != row.want || !errors.Is(err, row.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, row.want, row.err)
			}
		})
	}
}

// Whatever a caller writes before the element that our proxy appends, it never
// speaks for another workload.
func FuzzTheLastElementWins(f *testing.F) {
	for _, seed := range []string{"", ours, `Subject="`, `Subject="\`, `URI=` + trusted + `;Subject="x`, `a=b;`, strings.Repeat(`"`, 7)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, prefix string) {
		got, err := xfcc.Caller(prefix + "," + ours)
		if err == nil && got != orders {
			t.Errorf("%q speaks for %q", prefix, got)
		}
	})
}
