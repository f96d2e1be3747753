{{- define "meshpass-istio.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "meshpass-istio.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ printf "%s@%s" .repository .digest }}
{{- else }}{{ printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The objects of a file, which are those of manifests/istio, in Istio's root namespace. */}}
{{- define "meshpass-istio.file" -}}
{{- $root := index . 0 }}
{{- range splitList "\n---\n" ($root.Files.Get (index . 1)) }}
{{- $object := fromYaml . }}
{{- $_ := set $object.metadata "namespace" $root.Values.istio.namespace }}
{{- $_ := set $object.metadata "labels" (include "meshpass-istio.labels" $root | fromYaml) }}
---
{{ toYaml $object }}
{{- end }}
{{- end }}

{{/* A listener of the authorizer beside the one for sidecars: its Service. */}}
{{- define "meshpass-istio.listener" -}}
{{- $root := index . 0 }}
apiVersion: v1
kind: Service
metadata:
  name: {{ $root.Values.authorizer.name }}-{{ index . 1 }}
  namespace: {{ $root.Values.authorizer.namespace }}
  labels:
    app: {{ $root.Values.authorizer.name }}
    {{- include "meshpass-istio.labels" $root | nindent 4 }}
spec:
  selector: {app: {{ $root.Values.authorizer.name }}}
  ports:
    - {name: grpc, port: {{ index . 2 }}, targetPort: {{ index . 2 }}, protocol: TCP}
{{- end }}

{{- define "meshpass-istio.custom" -}}
{{- $root := index . 0 }}
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: {{ index . 1 }}
  namespace: {{ $root.Values.istio.namespace }}
  labels: {{- include "meshpass-istio.labels" $root | nindent 4 }}
spec:
  selector:
    matchLabels: {{- toYaml (index . 2) | nindent 6 }}
  action: CUSTOM
  provider:
    name: {{ index . 3 }}
{{- end }}
