package scenarios

// PartnerSessions returns the sessions of the API keys to create, by the name of the key's
// holder, in the terms of Tyk's control API. An environment creates them before it plays
// cases, whose `as` names a holder. The metadata of a key names its owner, and Tyk's policy
// defines the owner's rights. The keys share the policy and not the key, so each has its
// own rate limit.
func PartnerSessions() map[string]map[string]any {
	return map[string]map[string]any{
		"partner": newSession("partner-7", "acme"),
		"hurried": newSession("partner-8", "acme"),
	}
}

func newSession(developer, tenant string) map[string]any {
	return map[string]any{
		"org_id":         "demo",
		"apply_policies": []string{"gold"},
		"meta_data":      map[string]string{"developer_id": developer, "tenant": tenant},
	}
}
