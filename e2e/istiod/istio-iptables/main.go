// Program istio-iptables writes the rules that divert a pod's connections to its sidecar. It is
// Istio's own, with its flags; in a cluster the init container that injection adds runs it.
package main

import (
	"fmt"
	"os"

	"istio.io/istio/pkg/log"
	"istio.io/istio/tools/istio-iptables/pkg/cmd"
)

func main() {
	if err := cmd.GetCommand(log.DefaultOptions()).Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "istio-iptables:", err)
		os.Exit(2)
	}
}
