{{/* Values that the schema accepts one by one and that contradict each other. All of them are reported together. */}}
{{- define "meshpass.contradictions" -}}
{{- $found := list }}
{{- $v := .Values }}
{{- $replicas := $v.autoscaling.enabled | ternary $v.autoscaling.minReplicas $v.replicas | int }}
{{- $key := $v.autoscaling.enabled | ternary "autoscaling.minReplicas" "replicas" }}
{{- if and $v.podDisruptionBudget.enabled (le $replicas (int $v.podDisruptionBudget.minAvailable)) }}
{{- $found = append $found (printf "%s: %d and podDisruptionBudget.minAvailable: %d: no node can be drained; write %s: %d, or podDisruptionBudget.enabled: false" $key $replicas (int $v.podDisruptionBudget.minAvailable) $key (add1 (int $v.podDisruptionBudget.minAvailable))) }}
{{- end }}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) }}
{{- $found = append $found (printf "autoscaling.minReplicas: %d is above autoscaling.maxReplicas: %d; write a higher maxReplicas" (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) }}
{{- end }}
{{- $sources := list }}
{{- if $v.policies.documents }}{{ $sources = append $sources "policies.documents" }}{{ end }}
{{- if $v.policies.existingConfigMap }}{{ $sources = append $sources "policies.existingConfigMap" }}{{ end }}
{{- if $v.policies.image.reference }}{{ $sources = append $sources "policies.image.reference" }}{{ end }}
{{- if $v.policies.artifact.reference }}{{ $sources = append $sources "policies.artifact.reference" }}{{ end }}
{{- if $v.policies.volume }}{{ $sources = append $sources "policies.volume" }}{{ end }}
{{- if gt (len $sources) 1 }}
{{- $found = append $found (printf "%s: only one of them can be the folder of documents; remove the others" (join " and " $sources)) }}
{{- end }}
{{- if $v.policies.artifact.reference }}
{{- $paths := list }}
{{- range $v.config.policies.dirs }}{{ $paths = append $paths .path }}{{ end }}
{{- if not (has "policies/current" $paths) }}
{{- $found = append $found (printf "policies.artifact.reference: its documents are in policies/current, but config.policies.dirs has %s; write dirs: [{path: policies/current, name: policies}]" (join ", " $paths)) }}
{{- end }}
{{- end }}
{{- if and $v.overrides.create (not $v.config.policies.overrides) }}
{{- $found = append $found "overrides.create: true, but config.policies.overrides names no file; write overrides/overrides.yaml there, or overrides.create: false" }}
{{- end }}
{{- if not $v.config.ops }}
{{- $found = append $found "config.ops is empty, but the probes of the pod ask it; write 0.0.0.0:9090" }}
{{- end }}
{{- if and $v.istio.certificate (ne $v.config.tls.mode "mtls") }}
{{- $found = append $found (printf "config.tls.mode: %s does not use the certificate of istio.certificate: true; write mode: mtls, or istio.certificate: false" $v.config.tls.mode) }}
{{- end }}
{{- if and (not $v.istio.certificate) (hasPrefix "/etc/workload-certificate/" (toString $v.config.tls.certFile)) }}
{{- $found = append $found "config.tls.certFile: Istio's agent writes it only with istio.certificate: true; write that, or files of extraVolumeMounts" }}
{{- end }}
{{- if and (not $v.istio.certificate) (eq $v.config.tls.mode "mesh") }}
{{- $found = append $found "config.tls.mode: mesh needs a sidecar before the authorizer, which this chart does not configure; write mode: mtls and istio.certificate: true" }}
{{- end }}
{{- if and $v.keyRotation.enabled (not $v.keyRotation.gatewayNamespace) }}
{{- $found = append $found "keyRotation.gatewayNamespace is empty; write the namespace of Tyk, or keyRotation.enabled: false if keys rotate elsewhere" }}
{{- end }}
{{- if and $v.networkPolicy.enabled (not $v.networkPolicy.extraEgress) }}
{{- range $i, $t := $v.config.trust }}
{{- if ($t.jwks).url }}
{{- $found = append $found (printf "config.trust[%d].jwks.url: the NetworkPolicy lets nothing out; write networkPolicy.extraEgress with a rule for its host" $i) }}
{{- end }}
{{- end }}
{{- if $v.policies.artifact.reference }}
{{- $found = append $found "policies.artifact.reference: the NetworkPolicy lets nothing out; write networkPolicy.extraEgress with a rule for the registry" }}
{{- end }}
{{- if (($v.config.revocation).redis) }}
{{- $found = append $found "config.revocation.redis: the NetworkPolicy lets nothing out; write networkPolicy.extraEgress with a rule for Redis" }}
{{- end }}
{{- if ((($v.config.tracing).otlp).endpoint) }}
{{- $found = append $found "config.tracing.otlp.endpoint: the NetworkPolicy lets nothing out; write networkPolicy.extraEgress with a rule for the collector" }}
{{- end }}
{{- end }}
{{- $chainKey := (($v.config.audit).chain).key }}
{{- if and $v.audit.keySecret (ne (toString $chainKey) "audit-key/audit.pem") }}
{{- $found = append $found (printf "audit.keySecret: %s, but config.audit.chain.key does not name its file, so nothing is signed with it; write config.audit.chain: {key: audit-key/audit.pem}, or remove keySecret" $v.audit.keySecret) }}
{{- end }}
{{- if and $chainKey (not $v.audit.keySecret) (not $v.extraVolumeMounts) }}
{{- $found = append $found (printf "config.audit.chain.key: %s is in no volume; write audit.keySecret with the name of a Secret that has audit.pem, and key: audit-key/audit.pem" $chainKey) }}
{{- end }}
{{- $output := ($v.config.audit).output | default "stdout" }}
{{- if and $v.audit.volume (not (hasPrefix "/var/log/meshpass/" $output)) }}
{{- $found = append $found (printf "audit.volume is mounted at /var/log/meshpass, but config.audit.output: %s writes nothing there; write output: /var/log/meshpass/${POD_NAME}.jsonl, or remove the volume" $output) }}
{{- end }}
{{- if and (ne $output "stdout") (not $v.audit.volume) (not $v.extraVolumeMounts) }}
{{- $found = append $found (printf "config.audit.output: %s: the pod has a read-only file system; write audit.volume and output: /var/log/meshpass/${POD_NAME}.jsonl, or output: stdout" $output) }}
{{- end }}
{{- if and $v.audit.volume (not (hasKey $v.audit.volume "emptyDir")) (not (contains "${POD_NAME}" $output)) }}
{{- $found = append $found (printf "audit.volume can be shared by pods, but config.audit.output: %s gives all of them one file; write output: /var/log/meshpass/${POD_NAME}.jsonl" $output) }}
{{- end }}
{{- if not (hasKey $v.config.tls "clients") }}
{{- $listed := 0 }}
{{- range $v.config.listeners }}{{ if .clients }}{{ $listed = add1 $listed }}{{ end }}{{ end }}
{{- if ne (int $listed) (len $v.config.listeners) }}
{{- $found = append $found "config.tls.clients is missing; write the workloads that may ask, such as [ns/shop/sa/*]" }}
{{- end }}
{{- end }}
{{- with $v.gateway }}
{{- if and .release .plugin.builtFor (not (has .release .plugin.builtFor)) }}
{{- $found = append $found (printf "gateway.release: %s, but gateway.plugin.builtFor: [%s]: Tyk cannot load a plugin of another release; write a plugin that is built for %s (make plugin TYK_VERSION=%s)" .release (join ", " .plugin.builtFor) .release .release) }}
{{- end }}
{{- if and (eq .plugin.from "bundle") .plugin.bundle.publicKeyPath (not .plugin.bundle.signed) }}
{{- $found = append $found (printf "gateway.plugin.bundle.signed: false, but publicKeyPath: %s: Tyk loads no API with an unsigned bundle then; sign the bundle (make bundle with a key), or remove publicKeyPath" .plugin.bundle.publicKeyPath) }}
{{- end }}
{{- if and (eq .plugin.from "image") (or .plugin.bundle.signed .plugin.bundle.publicKeyPath) }}
{{- $found = append $found "gateway.plugin.bundle has values, but gateway.plugin.from: image; write from: bundle, or remove them" }}
{{- end }}
{{- end }}
{{- if and $v.podMonitor.gateway.enabled (not $v.keyRotation.gatewayNamespace) }}
{{- $found = append $found "podMonitor.gateway.enabled: true, but keyRotation.gatewayNamespace is empty; write the namespace of Tyk" }}
{{- end }}
{{- $alerts := list }}
{{- range (.Files.Get "files/prometheusrule.yaml" | fromYaml).spec.groups }}{{ range .rules }}{{ $alerts = append $alerts .alert }}{{ end }}{{ end }}
{{- range $v.prometheusRule.disabled }}
{{- if not (has . $alerts) }}
{{- $found = append $found (printf "prometheusRule.disabled: there is no alert %s; docs/operations.md lists them" .) }}
{{- end }}
{{- end }}
{{- if $found }}
{{- fail (printf "\n%s" (join "\n" $found)) }}
{{- end }}
{{- end }}
