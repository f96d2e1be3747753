{{- define "meshpass.name" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "meshpass.labels" -}}
app: {{ include "meshpass.name" . }}
{{ include "meshpass.chartLabels" . }}
{{- end }}

{{- define "meshpass.chartLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "meshpass.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ printf "%s@%s" .repository .digest }}
{{- else }}{{ printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "meshpass.port" -}}
{{- regexFind "[0-9]+$" (toString .) }}
{{- end }}

{{- define "meshpass.grpcPort" -}}
{{- include "meshpass.port" (first .Values.config.listeners).grpc }}
{{- end }}

{{- define "meshpass.serviceAccount" -}}
{{ include "meshpass.name" . }}
{{- end }}

{{- define "meshpass.policiesConfigMap" -}}
{{- .Values.policies.existingConfigMap | default (printf "%s-policies" (include "meshpass.name" .)) }}
{{- end }}

{{/* The pod of a job of ours: it calls the API server. */}}
{{- define "meshpass.jobPod" -}}
automountServiceAccountToken: true
enableServiceLinks: false
restartPolicy: Never
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* The container of a job of ours: no privileges, no writable folder. */}}
{{- define "meshpass.jobContainer" -}}
image: {{ include "meshpass.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
resources:
  requests: {cpu: 10m, memory: 32Mi}
  limits: {memory: 128Mi}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* A container that pulls the documents of policies.artifact. */}}
{{- define "meshpass.pullContainer" -}}
{{- $v := .root.Values -}}
- name: {{ .name }}
  image: {{ include "meshpass.image" .root }}
  imagePullPolicy: {{ $v.image.pullPolicy }}
  args: [policy, pull, {{ $v.policies.artifact.reference | quote }}, --dir, /policies{{ with .every }}, --every, {{ . }}{{ end }}{{ if $v.policies.artifact.plainHTTP }}, --plain-http{{ end }}]
  {{- if or $v.policies.artifact.pullSecret $v.extraEnv }}
  env:
    {{- if $v.policies.artifact.pullSecret }}
    - {name: DOCKER_CONFIG, value: /etc/registry}
    {{- end }}
    {{- with $v.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  resources:
    requests: {cpu: 10m, memory: 32Mi}
    limits: {memory: 128Mi}
  securityContext:
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: {drop: [ALL]}
  volumeMounts:
    - {name: policies, mountPath: /policies}
    {{- if $v.policies.artifact.pullSecret }}
    - {name: registry-credentials, mountPath: /etc/registry, readOnly: true}
    {{- end }}
    {{- with $v.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* The seconds of a duration such as 1h30m or 7d. */}}
{{- define "meshpass.seconds" -}}
{{- $sum := 0.0 }}
{{- $units := dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0 "d" 86400.0 }}
{{- range regexFindAll "[0-9.]+(ms|s|m|h|d)" . -1 }}
{{- $sum = addf $sum (mulf (regexFind "^[0-9.]+" . | float64) (get $units (regexFind "[a-z]+$" .))) }}
{{- end }}
{{- $sum }}
{{- end }}

{{/* What is wrong with an address that other pods must reach, as a list in JSON: the value, the address, and an example. */}}
{{- define "meshpass.checkAddress" -}}
{{- $found := list }}
{{- $address := index . 1 | toString }}
{{- if not (regexMatch "^([0-9.]+|\\[[0-9a-fA-F:.]+\\]):[0-9]+$" $address) }}
{{- $found = list (printf "%s: want IP:PORT, not %s; write %s" (index . 0) $address (index . 2)) }}
{{- else if regexMatch "^(127\\.|\\[::1\\])" $address }}
{{- $found = list (printf "%s: %s is reached from inside the pod only; write %s" (index . 0) $address (index . 2)) }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{/* The labels of namespaces that may scrape. They are no default in values.yaml, because Helm would add those of a user to them. */}}
{{- define "meshpass.monitoringNamespace" -}}
{{- toYaml (.Values.networkPolicy.monitoringNamespace | default (dict "meshpass.dev/monitoring" "true")) }}
{{- end }}
