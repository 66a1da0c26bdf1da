{{/* What services.json says of a service in this environment. Takes (list $ "name"). */}}
{{- define "service" -}}
{{- $root := index . 0 -}}
{{- $file := $root.Files.Get "services.json" | fromJson -}}
{{- get (get $file.services $root.Values.environment) (index . 1) | toJson -}}
{{- end }}

{{/* The least replicas of a service. Takes (list $ "name"). */}}
{{- define "replicas" -}}
{{- $given := (index . 0).Values.replicas -}}
{{- if hasKey $given (index . 1) }}{{ get $given (index . 1) | int }}{{ else }}{{ (include "service" . | fromJson).replicas | int }}{{ end }}
{{- end }}

{{/* The most replicas that a service may scale to: four times the least, none of them idle. Takes (list $ "name"). */}}
{{- define "replicasMax" -}}
{{- $service := include "service" . | fromJson -}}
{{- $least := include "replicas" . | int -}}
{{- $most := mul 4 $least -}}
{{- if $service.replicasUseful }}{{ $most = min $most (int $service.replicasUseful) }}{{ end -}}
{{- max $least $most -}}
{{- end }}

{{/* A service's database connections: of all its replicas and one more. Takes (list $ "name"). */}}
{{- define "connections" -}}
{{- $root := index . 0 -}}
{{- $service := include "service" . | fromJson -}}
{{- $scales := or (eq $root.Values.environment "production") (and $root.Values.keda $service.byLag) -}}
{{- $replicas := include (ternary "replicasMax" "replicas" $scales) . | int -}}
{{- mul (int $service.connections) (add1 $replicas) -}}
{{- end }}

{{/* All database connections. */}}
{{- define "connectionsAll" -}}
{{- $root := . -}}
{{- $file := .Files.Get "services.json" | fromJson -}}
{{- $sum := int $file.connectionsSpare -}}
{{- range $name, $_ := get $file.services .Values.environment }}{{ $sum = add $sum (include "connections" (list $root $name) | int) }}{{ end -}}
{{- $sum -}}
{{- end }}

{{/* The port of the object store: that of its address, else that of https. */}}
{{- define "backupPort" -}}
{{- regexFind ":[0-9]+$" (urlParse .Values.backup.endpoint).host | trimPrefix ":" | default "443" -}}
{{- end }}

{{/* Where the Kubernetes API is, as peers of a NetworkPolicy. */}}
{{- define "apiServer" -}}
{{- $peers := list -}}
{{- range .Values.apiServer.cidrs }}{{ $peers = append $peers (dict "ipBlock" (dict "cidr" .)) }}{{ end -}}
{{- toJson $peers -}}
{{- end }}

{{/* Secrets with which images are pulled. */}}
{{- define "imagePullSecrets" -}}
{{- $secrets := list -}}
{{- range .Values.imagePullSecrets }}{{ $secrets = append $secrets (dict "name" .) }}{{ end -}}
{{- toJson $secrets -}}
{{- end }}
