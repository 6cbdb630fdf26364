{{- define "pgrecall.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "pgrecall.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "pgrecall.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "pgrecall.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "pgrecall.selector" -}}
app.kubernetes.io/name: {{ include "pgrecall.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pgrecall.labels" -}}
{{ include "pgrecall.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "pgrecall.secret" -}}
{{- default (include "pgrecall.fullname" .) .Values.secret.existing }}
{{- end }}

{{- /* What no schema can say. Each would start, and fail later or answer wrongly. */ -}}
{{- define "pgrecall.check" -}}
{{- if not .Values.image.repository }}
{{- fail "image.repository is missing: where you pushed the image that `docker build .` makes" }}
{{- end }}
{{- $data := .Values.secret.data }}
{{- $given := or $data.upstream $data.redis $data.adminToken $data.l2Keys }}
{{- if and .Values.secret.existing $given }}
{{- fail "secret.existing and secret.data: give one of them" }}
{{- end }}
{{- if not .Values.secret.existing }}
{{- if not $data.upstream }}
{{- fail "secret.existing is missing: the name of a Secret with the key upstream, the DSN of pgrecall's own account (or secret.data.upstream)" }}
{{- end }}
{{- if and .Values.redis.enabled (not $data.redis) }}
{{- fail "secret.data.redis is missing, and redis.enabled is true" }}
{{- end }}
{{- if and .Values.redis.encrypted (not $data.l2Keys) }}
{{- fail "secret.data.l2Keys is missing, and redis.encrypted is true" }}
{{- end }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) (not .Values.redis.enabled) (not .Values.separateCaches) }}
{{- fail "replicas: more than one needs redis.enabled: without it a read through one pgrecall does not see a write through another (separateCaches: true accepts that)" }}
{{- end }}
{{- if and .Values.redis.encrypted (not .Values.redis.enabled) }}
{{- fail "redis.encrypted needs redis.enabled" }}
{{- end }}
{{- range tuple "upstream" "listen" "admin" }}
{{- if hasKey $.Values.config . }}
{{- fail (printf "config.%s: the chart sets it by itself" .) }}
{{- end }}
{{- end }}
{{- range tuple "redis" "l2.key_file" }}
{{- $section := dig "cache" (dict) $.Values.config }}
{{- $path := splitList "." . }}
{{- if eq (len $path) 2 }}{{ $section = dig (first $path) (dict) $section }}{{ end }}
{{- if hasKey $section (last $path) }}
{{- fail (printf "config.cache.%s: see redis and secret" .) }}
{{- end }}
{{- end }}
{{- if dig "limits" "shutdown_grace" "" .Values.config }}
{{- fail "config.limits.shutdown_grace: set shutdownGraceSeconds, which the pod's own grace follows" }}
{{- end }}
{{- end }}

{{- /* By these names the admin server may be asked for: its Service, in full and in short. */ -}}
{{- define "pgrecall.adminHosts" -}}
{{- $name := printf "%s-admin" (include "pgrecall.fullname" .) }}
{{- $name }},{{ $name }}.{{ .Release.Namespace }},{{ $name }}.{{ .Release.Namespace }}.svc,{{ $name }}.{{ .Release.Namespace }}.svc.cluster.local
{{- end }}
