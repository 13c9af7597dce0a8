{{- /* Labels of every object. Call with (dict "ctx" $ "component" NAME). */ -}}
{{- define "logsource.labels" -}}
{{ include "logsource.selector" . }}
app.kubernetes.io/part-of: logsource
app.kubernetes.io/version: {{ .ctx.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .ctx.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .ctx.Chart.Name .ctx.Chart.Version | replace "+" "_" }}
{{- with .ctx.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Labels that select pods; they never change. */ -}}
{{- define "logsource.selector" -}}
app.kubernetes.io/name: logsource
app.kubernetes.io/instance: {{ .ctx.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "logsource.image" -}}
{{- $image := .Values.image -}}
{{- $name := printf "%s/%s" $image.registry $image.repository -}}
{{- if $image.digest -}}
{{ $name }}@{{ $image.digest }}
{{- else -}}
{{ $name }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "logsource.agentsNamespace" -}}
{{- $name := .Values.agents.namespace | default (printf "%s-nodes" .Release.Namespace) -}}
{{- if eq $name .Release.Namespace -}}
{{- fail "agents.namespace must differ from the namespace of the release: the agents need the Pod Security level privileged, and whoever reads Secrets beside them must not reach the manager's" -}}
{{- end -}}
{{- if gt (len $name) 63 -}}
{{- fail (printf "the namespace %s is longer than 63 characters: set agents.namespace" $name) -}}
{{- end -}}
{{ $name }}
{{- end }}
