// Command idp runs the demo's OpenID provider as a program. It does not check who logs in: see package
// idp.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/meshpass/meshpass/e2e/idp"
)

func main() { os.Exit(run()) }

func run() int {
	listen := flag.String("listen", "", "`address` to listen on, host:port")
	issuer := flag.String("issuer", "", "`URL` of the provider, and the iss of its tokens")
	flag.Parse()
	if *listen == "" || *issuer == "" {
		fmt.Fprintln(os.Stderr, "idp: -listen and -issuer are required")
		return 2
	}
	handler, err := idp.New(*issuer, idp.DemoUsers())
	if err == nil {
		server := http.Server{Addr: *listen, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
		err = server.ListenAndServe()
	}
	fmt.Fprintln(os.Stderr, "idp:", err)
	return 2
}
