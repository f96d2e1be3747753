// Package settings switches off what only Istio's own build of Envoy can do:
// the peer-metadata exchange and the ALPN override. Upstream's Envoy refuses a
// configuration that names them. It also keeps a warning of no use to anyone away.
//
// Istio reads its PILOT_* settings while its packages are initialised, before
// main. Go initialises packages in the order of their import paths as soon as
// their imports are ready, so this one, which imports only os, always comes
// before those under istio.io that read the environment: the settings hold
// however the program is started.
package settings

import "os"

func init() {
	for _, name := range []string{"PILOT_ENABLE_METADATA_EXCHANGE", "PILOT_ENABLE_ALPN_FILTER"} {
		_ = os.Setenv(name, "false") // main looks whether it took effect
	}
	// Judging custom resources brings Istio's test environment along, which
	// warns at each start that its build's folders are missing.
	for _, name := range []string{"TARGET_OUT", "LOCAL_OUT"} {
		_ = os.Setenv(name, os.TempDir())
	}
}
