package dashboards

import "strings"

// sel selects the pods of the dashboard's variables; more are further matchers.
func sel(metric string, more ...string) string {
	return metric + "{" + strings.Join(append([]string{`job=~"$job"`, `instance=~"$instance"`}, more...), ", ") + "}"
}

// rate is the rate of a counter, summed by labels.
func rate(by, metric string, more ...string) string {
	return "sum by (" + by + ") (rate(" + sel(metric, more...) + "[$__rate_interval]))"
}

// quantile is a quantile of a histogram, by labels.
func quantile(q, by, metric string) string {
	return "histogram_quantile(" + q + ", " + rate(by+", le", metric+"_bucket") + ")"
}

// latency shows quantiles of a histogram.
func latency(by, legend, metric string) []query {
	return []query{{quantile("0.5", by, metric), legend + " p50"}, {quantile("0.99", by, metric), legend + " p99"}}
}

// auditPanels are the audit trail's, which both programs have.
var auditPanels = []panel{
	{"Audit records", "Records written, lost by cause, and suppressed. Lost records are the alert MeshpassAuditLost.", "cps", []query{
		{rate("instance", "meshpass_audit_records_written_total"), "written {{instance}}"},
		{rate("cause", "meshpass_audit_records_lost_total"), "lost: {{cause}}"},
		{rate("instance", "meshpass_audit_records_suppressed_total"), "suppressed {{instance}}"},
	}},
	{"Audit queue", "Bytes that wait for the reader or the disk, and their bound.", "bytes", []query{
		{sel("meshpass_audit_queue_bytes"), "{{instance}}"}, {"max(" + sel("meshpass_audit_queue_limit_bytes") + ")", "limit"},
	}},
	{"Audit chain", "How long records have waited for a signed checkpoint, and the setting audit.chain.checkpoint. Without a chain there is no data.", "s", []query{
		{sel("meshpass_audit_chain_unsigned_seconds"), "{{instance}}"}, {"max(" + sel("meshpass_audit_chain_checkpoint_seconds") + ")", "checkpoint"},
	}},
	{"Reloads", "1 while the active value is what the files hold; 0 while a change is rejected.", "none", []query{
		{"min by (source) (" + sel("meshpass_reload_current") + ")", "{{source}}"},
	}},
}

var boards = []board{
	{"meshpass-edge", "Meshpass / Edge", "The plugin in Tyk's gateways: what it signs and denies, and what it costs.", "meshpass_edge_ready", append([]panel{
		{"Ready", "1 while a token can be signed and the hooks of all API definitions run, as the canary tests it.", "none", []query{{sel("meshpass_edge_ready"), "{{instance}}"}}},
		{"Answers", "Tokens issued and requests denied, by reason.", "reqps", []query{{rate("decision, reason", "meshpass_edge_decisions_total") + " > 0", "{{decision}} {{reason}}"}}},
		{"Time in the hooks", "What the plugin adds to a request.", "s", latency("hook", "{{hook}}", "meshpass_edge_hook_duration_seconds")},
		{"Canary", "Answers to readiness probes, by reason; issued is 200.", "cps", []query{{rate("reason", "meshpass_edge_canary_answers_total"), "{{reason}}"}}},
		{"Unprotected API definitions", "Definitions that do not protect their API, by cause.", "none", []query{{"sum by (cause) (" + sel("meshpass_edge_unguarded_apis") + ")", "{{cause}}"}}},
		{"Mapped claims", "Credentials that had a mapped claim, or did not have it.", "cps", []query{{rate("mapping, claim, found", "meshpass_edge_mapped_claims_total"), "{{mapping}} {{claim}} found: {{found}}"}}},
	}, auditPanels...)},
	{"meshpass-authorizer", "Meshpass / Authorizer", "Checks, their latency, limits and connections.", "meshpass_policies_info", append([]panel{
		{"Checks", "Checks answered, by decision.", "reqps", []query{{rate("decision", "meshpass_decisions_total"), "{{decision}}"}}},
		{"Latency of a Check", "From its arrival to its answer. Envoy gives up after the provider's timeout.", "s", latency("listener", "{{listener}}", "meshpass_check_duration_seconds")},
		{"Checks in flight", "Checks that are being received or decided, and their limit; more are shed with 503.", "none", []query{
			{sel("meshpass_checks_in_flight"), "{{instance}}"}, {"max(" + sel("meshpass_checks_in_flight_limit") + ")", "limit"}}},
		{"Bytes in flight", "Bytes of these Checks, with what is reserved for them.", "bytes", []query{
			{sel("meshpass_check_bytes_in_flight"), "{{instance}}"}, {"max(" + sel("meshpass_check_bytes_in_flight_limit") + ")", "limit"}}},
		{"Shed", "Checks denied because of limits and deadlines.", "reqps", []query{{rate("reason", "meshpass_decisions_total", `reason=~"overloaded|deadline_exceeded|check_too_large|too_many_headers"`), "{{reason}}"}}},
		{"Connections", "Open connections of Envoys.", "none", []query{{"sum by (listener) (" + sel("meshpass_connections") + ")", "{{listener}}"}}},
		{"CPU", "Processors in use.", "none", []query{{rate("instance", "process_cpu_seconds_total"), "{{instance}}"}}},
		{"Memory", "Resident memory.", "bytes", []query{{sel("process_resident_memory_bytes"), "{{instance}}"}}},
	}, auditPanels...)},
	{"meshpass-policy", "Meshpass / Policy", "What policies decide, and which are active.", "meshpass_policies_info", []panel{
		{"Denials by rule", "Requests denied, by the document and the rule that decided.", "reqps", []query{{rate("policy, rule, reason", "meshpass_policy_denials_total"), "{{policy}} {{rule}} {{reason}}"}}},
		{"Answers by reason", "All answers, by reason.", "reqps", []query{{rate("reason", "meshpass_decisions_total") + " > 0", "{{reason}}"}}},
		{"Missing tokens", "Requests without a token. The caller is the service that does not forward it.", "reqps", []query{{rate("caller, callee", "meshpass_token_missing_total"), "{{caller}} to {{callee}}"}}},
		{"Shadow", "Answers that were not given, because the document is in shadow or lifted.", "reqps", []query{{rate("given, decision, reason", "meshpass_shadow_decisions_total"), "{{decision}} instead of {{given}}: {{reason}}"}}},
		{"Generations", "Replicas by active generation. More than one for minutes: a replica does not get the files.", "none", []query{
			{"count by (generation) (" + sel("meshpass_policies_info") + ")", "active {{generation}}"},
			{"count by (generation) (" + sel("meshpass_policies_wanted_info") + ")", "in the files {{generation}}"}}},
		{"Documents", "Active documents, and documents that cannot be used.", "none", []query{
			{"max(" + sel("meshpass_policy_documents") + ")", "active"}, {"max by (instead) (" + sel("meshpass_policy_documents_refused") + ")", "rejected, {{instead}}"}}},
		{"Overrides", "Overrides that lift policies now.", "none", []query{{"max(" + sel("meshpass_policy_overrides_active") + ")", "active"}}},
	}},
	{"meshpass-keys", "Meshpass / Keys", "Keys that sign, keys that verify, and revocations.", "meshpass_reload_current", []panel{
		{"Time until a key ends", "How long the keys of the gateways may still sign.", "s", []query{{"max by (kid) (" + sel("meshpass_edge_key_sign_until_timestamp_seconds") + ") - time()", "{{kid}}"}}},
		{"Key that signs", "1 for the key that signs now.", "none", []query{{"max by (kid, algorithm) (" + sel("meshpass_edge_key_current") + ")", "{{algorithm}} {{kid}}"}}},
		{"Usable keys", "Keys of each issuer that authorizers may use; 0: its tokens get 503.", "none", []query{{"min by (issuer) (" + sel("meshpass_jwks_keys") + ")", "{{issuer}}"}}},
		{"Unusable tokens", "Denials because of keys, signatures and times.", "reqps", []query{{rate("reason", "meshpass_decisions_total", `reason=~"kid_unknown|keys_unavailable|signature_invalid|issuer_unknown|token_expired|token_not_yet_valid|token_revoked"`), "{{reason}}"}}},
		{"Key files", "1 while the active keys are what the files hold.", "none", []query{{"min by (source) (" + sel("meshpass_reload_current", `source=~"jwks|keys|secret|revocations.*"`) + ")", "{{source}}"}}},
	}},
}
