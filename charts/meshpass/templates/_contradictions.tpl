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
{{- if and $v.autoscaling.enabled (not (dig "requests" "cpu" "" ($v.resources | default dict))) }}
{{- $found = append $found "autoscaling.enabled: true, but resources.requests.cpu is missing, of which autoscaling.targetCPU is a part; write resources.requests.cpu: 100m" }}
{{- end }}
{{- range $name, $text := $v.policies.documents }}
{{- if or (not (kindIs "string" $text)) (not (regexMatch "^[-._a-zA-Z0-9]+\\.ya?ml$" $name)) }}
{{- $found = append $found (printf "policies.documents: %s is no name of a file with a text; write a name such as orders.yaml, in a flag with a backslash before the point: --set-file 'policies.documents.orders\\.yaml=orders.yaml'" $name) }}
{{- else if not $text }}
{{- $found = append $found (printf "policies.documents: %s is empty; write a document, or remove it" $name) }}
{{- end }}
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
{{- $paths := list }}
{{- $inside := false }}
{{- range $v.config.policies.dirs }}
{{- $paths = append $paths .path }}
{{- if regexMatch "^(\\./|/etc/meshpass/)?policies(/|$)" (toString .path) }}{{ $inside = true }}{{ end }}
{{- end }}
{{- if and $sources (not $v.policies.artifact.reference) (not $inside) }}
{{- $found = append $found (printf "%s: its documents are in the folder policies, but config.policies.dirs has [%s]; write dirs: [{path: policies}]" (first $sources) (join ", " $paths)) }}
{{- end }}
{{- if $v.policies.artifact.reference }}
{{- if not (has "policies/current" $paths) }}
{{- $found = append $found (printf "policies.artifact.reference: its documents are in policies/current, but config.policies.dirs has %s; write dirs: [{path: policies/current, name: policies}]" (join ", " $paths)) }}
{{- end }}
{{- end }}
{{- if and $v.overrides.create (not $v.config.policies.overrides) }}
{{- $found = append $found "overrides.create: true, but config.policies.overrides names no file; write overrides/overrides.yaml there, or overrides.create: false" }}
{{- end }}
{{- if and $v.overrides.create $v.config.policies.overrides (not (has $v.config.policies.overrides (list "overrides/overrides.yaml" "/etc/meshpass/overrides/overrides.yaml"))) }}
{{- $found = append $found (printf "overrides.create: true makes overrides/overrides.yaml, but config.policies.overrides: %s; write overrides/overrides.yaml there, or overrides.create: false" $v.config.policies.overrides) }}
{{- end }}
{{- range $i, $l := $v.config.listeners }}
{{- $found = concat $found (include "meshpass.checkAddress" (list (printf "config.listeners[%d].grpc" $i) $l.grpc "0.0.0.0:9000") | fromJsonArray) }}
{{- end }}
{{- if $v.config.ops }}
{{- $found = concat $found (include "meshpass.checkAddress" (list "config.ops" $v.config.ops "0.0.0.0:9090") | fromJsonArray) }}
{{- end }}
{{- if not $v.config.trust }}
{{- $found = append $found "config.trust is empty; write the gateways whose tokens are accepted, each with issuer, audience and jwks, as in docs/install.md" }}
{{- end }}
{{- range $i, $t := $v.config.trust }}
{{- with ($t.jwks).file }}
{{- if and (not (has . (list "jwks.json" "/etc/meshpass/jwks.json"))) (not $v.extraVolumeMounts) }}
{{- $found = append $found (printf "config.trust[%d].jwks.file: %s is in no volume; write jwks.json, which the ConfigMap of jwks.configMap has, or mount the file with extraVolumes and extraVolumeMounts" $i .) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and ($v.config.revocation).file (not $v.extraVolumeMounts) }}
{{- $found = append $found (printf "config.revocation.file: %s is in no volume; mount it with extraVolumes and extraVolumeMounts" $v.config.revocation.file) }}
{{- end }}
{{- range $key, $_ := $v.podLabels }}
{{- if eq $key "meshpass.dev/guarded" }}
{{- $found = append $found "podLabels: meshpass.dev/guarded on the authorizer: each of its decisions would need another one; remove it" }}
{{- else if or (has $key (list "app" "sidecar.istio.io/inject" "istio.io/rev" "helm.sh/chart")) (hasPrefix "app.kubernetes.io/" $key) }}
{{- $found = append $found (printf "podLabels: %s is a label of the chart itself; remove it" $key) }}
{{- end }}
{{- end }}
{{- range $key, $_ := $v.podAnnotations }}
{{- if or (eq $key "checksum/config") (and $v.istio.certificate (has $key (list "proxy.istio.io/config" "sidecar.istio.io/userVolumeMount" "traffic.sidecar.istio.io/includeInboundPorts" "traffic.sidecar.istio.io/includeOutboundIPRanges"))) }}
{{- $found = append $found (printf "podAnnotations: %s is an annotation of the chart itself; remove it" $key) }}
{{- end }}
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
{{- with $v.keyRotation }}
{{- $every := include "meshpass.seconds" .every | float64 }}
{{- $lead := include "meshpass.seconds" .lead | float64 }}
{{- if and .enabled (gt $lead $every) }}
{{- $found = append $found (printf "keyRotation.lead: %s is longer than keyRotation.every: %s, and only one key waits at a time; write every: %s or more" .lead .every .lead) }}
{{- else if and .enabled (gt (addf $every $lead) 2592000.0) }}
{{- $found = append $found (printf "keyRotation.every: %s and keyRotation.lead: %s are more than the 30d for which a key signs, so that at the end no key signs; write a shorter every" .every .lead) }}
{{- end }}
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
{{- if and (not $v.config.tls.clients) (has $v.config.tls.mode (list "mtls" "mesh")) }}
{{- $listed := 0 }}
{{- range $v.config.listeners }}{{ if .clients }}{{ $listed = add1 $listed }}{{ end }}{{ end }}
{{- if ne (int $listed) (len $v.config.listeners) }}
{{- $found = append $found "config.tls.clients is missing; write the workloads that may ask, such as [ns/shop/sa/*]" }}
{{- end }}
{{- end }}
{{- with $v.gateway }}
{{- range concat (list .release | compact) .plugin.builtFor }}
{{- if not (regexMatch "^v[0-9]+\\.[0-9]+\\.[0-9]+([-+].+)?$" .) }}
{{- $found = append $found (printf "gateway: %s is no release of Tyk; write it with v and three numbers, such as v5.8.1" .) }}
{{- end }}
{{- end }}
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
