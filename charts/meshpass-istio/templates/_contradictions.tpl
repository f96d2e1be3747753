{{/* Values that the schema accepts one by one and that contradict each other. All of them are reported together. */}}
{{- define "meshpass-istio.contradictions" -}}
{{- $found := list }}
{{- $v := .Values }}
{{- if and $v.providers.closed.failOpen $v.policies.closed.enabled }}
{{- $found = append $found "providers.closed.failOpen: true, but policies.closed.enabled: true: its workloads rely on a denial while the authorizer cannot be asked; write failOpen: false, and for workloads that may be open policies.open.enabled: true and the label meshpass.dev/guarded: open" }}
{{- end }}
{{- if and $v.fence.namespaces (not $v.policies.closed.enabled) }}
{{- $found = append $found "fence.namespaces, but policies.closed.enabled: false: the fence opens pods with the label meshpass.dev/guarded: \"true\", and no policy decides their requests; write policies.closed.enabled: true" }}
{{- end }}
{{- $timeout := trimSuffix "s" $v.providers.timeout | float64 }}
{{- if or (lt $timeout 0.001) (gt $timeout 10.0) }}
{{- $found = append $found (printf "providers.timeout: %s; write 0.001s to 10s: every request waits that long while the authorizer hangs, and 0s is no bound" $v.providers.timeout) }}
{{- end }}
{{- $ports := list $v.authorizer.port $v.authorizer.waypointPort $v.authorizer.ingressPort }}
{{- if ne (len (uniq $ports)) 3 }}
{{- $found = append $found (printf "authorizer: port, waypointPort and ingressPort are [%s]: each is a listener of its own; write different ports" (join ", " $ports)) }}
{{- end }}
{{- $names := list $v.providers.closed.name $v.providers.open.name $v.providers.waypoint.name $v.providers.ingress.name }}
{{- if ne (len (uniq $names)) 4 }}
{{- $found = append $found (printf "providers: the names %s are not different; with one name for two providers Istio uses the last one; write different names" (join ", " $names)) }}
{{- end }}
{{- with $v.policies.open }}
{{- if .enabled }}
{{- if or (not .backstop.issuer) (not .backstop.audiences) (and (not .backstop.jwks) (not .backstop.jwksUri)) }}
{{- $found = append $found "policies.open.enabled: true needs policies.open.backstop: without it, requests with any token or none pass while the authorizer cannot be asked; write issuer, audiences, and jwks or jwksUri" }}
{{- end }}
{{- if and .backstop.jwks .backstop.jwksUri }}
{{- $found = append $found "policies.open.backstop: Istio accepts jwks or jwksUri, not both; remove one" }}
{{- end }}
{{- if and .backstop.jwks (not (dig "keys" "" (fromJson .backstop.jwks))) }}
{{- $found = append $found "policies.open.backstop.jwks has no keys: Envoy rejects the listener; write the document of `meshpass keys publish`" }}
{{- end }}
{{- end }}
{{- end }}
{{- if has $v.istio.namespace $v.mutualTLS.namespaces }}
{{- $found = append $found (printf "mutualTLS.namespaces: %s is Istio's root namespace, where it applies to the whole mesh; write the namespaces with guarded workloads" $v.istio.namespace) }}
{{- end }}
{{- range $v.mutualTLS.workloads }}
{{- if eq .namespace $v.istio.namespace }}
{{- $found = append $found (printf "mutualTLS.workloads: %s is in Istio's root namespace, where it applies to the whole mesh; write a workload of another namespace" .name) }}
{{- end }}
{{- end }}
{{- $seen := list }}
{{- range $v.mutualTLS.workloads }}
{{- $key := printf "%s/%s" .namespace .name }}
{{- if has $key $seen }}{{ $found = append $found (printf "mutualTLS.workloads: %s is listed twice; remove one" $key) }}{{ end }}
{{- $seen = append $seen $key }}
{{- end }}
{{- if has $v.istio.namespace $v.fence.namespaces }}
{{- $found = append $found (printf "fence.namespaces: %s is Istio's root namespace: every workload of the mesh would be closed; write the namespaces with guarded workloads" $v.istio.namespace) }}
{{- end }}
{{- $keys := list }}
{{- range $v.waypoints }}
{{- $key := printf "%s/%s" .namespace .name }}
{{- if has $key $keys }}{{ $found = append $found (printf "waypoints: %s is listed twice; remove one" $key) }}{{ end }}
{{- $keys = append $keys $key }}
{{- if has .namespace $v.fence.namespaces }}
{{- $found = append $found (printf "waypoints: %s, and fence.namespaces has %s too: ztunnel does not support the fence's policies; use the waypoint's guard, and remove %s from fence.namespaces" $key .namespace .namespace) }}
{{- end }}
{{- end }}
{{- if $found }}
{{- fail (printf "\n%s" (join "\n" $found)) }}
{{- end }}
{{- end }}
