package tykapi

import (
	"errors"
	"slices"

	"github.com/TykTechnologies/tyk/apidef"

	"github.com/meshpass/meshpass/internal/gateway/settings"
)

func readNarrowing(d *apidef.APIDefinition) (n settings.Narrowing, err error) {
	value, ok := d.ConfigData[settings.NarrowingKey]
	if !ok {
		return n, nil
	}
	if d.ConfigDataDisabled {
		return n, errors.New("config_data is disabled: enable it or remove the settings, which would have narrowed")
	}
	return settings.ReadNarrowing(value)
}

// mayLackIdentity reports whether the API asks to pass requests on without identity, and the plugin's
// file permits it.
func mayLackIdentity(c *settings.Config, d *apidef.APIDefinition) bool {
	n, err := readNarrowing(d)
	return err == nil && n.Identity == "optional" && slices.Contains(c.Allow.OptionalIdentity, d.APIID)
}
