// Package consumer holds the partners that call with an API key: who they are stands in the key's
// metadata, what they may do in Tyk's policy.
package consumer

// Sessions are the keys to create, by the name of their holder, in the terms of Tyk's control API.
// They share the policy and not the key, and so not the rate either.
func Sessions() map[string]map[string]any {
	return map[string]map[string]any{
		"partner": session("partner-7", "acme"),
		"hurried": session("partner-8", "acme"),
	}
}

func session(developer, tenant string) map[string]any {
	return map[string]any{
		"org_id":         "demo",
		"apply_policies": []string{"gold"},
		"meta_data":      map[string]string{"developer_id": developer, "tenant": tenant},
	}
}
