package tykroute

import (
	"strconv"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
)

// Switches are the settings of a gateway that change its routing.
type Switches struct {
	StrictRoutes   bool   // http_server_options.enable_strict_routes
	PrefixMatching bool   // http_server_options.enable_path_prefix_matching
	SuffixMatching bool   // http_server_options.enable_path_suffix_matching
	SkipCleaning   bool   // http_server_options.skip_url_cleaning
	SkipEscaping   bool   // http_server_options.skip_target_path_escaping
	CustomDomains  bool   // enable_custom_domains
	IgnoreCase     bool   // ignore_endpoint_case
	Scripts        bool   // enable_jsvm
	FromDashboard  bool   // use_db_app_configs
	HostName       string // host_name
	Port           int    // listen_port
	ControlPort    int    // control_api_port; 0: the control API is on Port
	HealthCheck    string // health_check_endpoint_name
}

func switchesOf(g *model.TykGateway) Switches {
	number := func(path string) int {
		text, _ := g.Setting(path)
		n, _ := strconv.Atoi(text)
		return n
	}
	host, _ := g.Setting("host_name")
	health, _ := g.Setting("health_check_endpoint_name")
	if health == "" {
		health = "hello"
	}
	return Switches{
		StrictRoutes: g.IsOn("http_server_options.enable_strict_routes"), PrefixMatching: g.IsOn("http_server_options.enable_path_prefix_matching"),
		SuffixMatching: g.IsOn("http_server_options.enable_path_suffix_matching"), SkipCleaning: g.IsOn("http_server_options.skip_url_cleaning"),
		SkipEscaping: g.IsOn("http_server_options.skip_target_path_escaping"), CustomDomains: g.IsOn("enable_custom_domains"),
		IgnoreCase: g.IsOn("ignore_endpoint_case"), Scripts: g.IsOn("enable_jsvm"), FromDashboard: g.IsOn("use_db_app_configs"),
		HostName: host, Port: number("listen_port"), ControlPort: number("control_api_port"), HealthCheck: health,
	}
}
