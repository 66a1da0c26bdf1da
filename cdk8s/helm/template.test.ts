import { expect, test } from '@jest/globals'
import { type Choice, combinations } from './cases.ts'
import { objectTemplate } from './template.ts'
import { bareToken, token, toTemplate } from './tokens.ts'

const choices: readonly Choice[] = [
  {
    name: 'mesh',
    answers: ['istio', 'linkerd', 'none'].map((name) => ({ name, condition: `eq .Values.mesh "${name}"` })),
  },
  {
    name: 'keda',
    answers: [
      { name: 'given', condition: '.Values.keda' },
      { name: 'none', condition: 'not .Values.keda' },
    ],
  },
]

function templateOf(object: (mesh: string, keda: boolean) => unknown): string {
  const cases = combinations(choices).map((answers) => ({
    answers,
    value: object(answers.mesh ?? '', answers.keda === 'given'),
  }))
  return toTemplate(objectTemplate(cases, choices), {
    'image.tag': '{{ .Values.image.tag }}',
    port: '{{ .Values.port }}',
  })
}

test('what all cases share stands once, and conditions stand around the smallest part that differs', () => {
  const text = templateOf((mesh, keda) => ({
    kind: 'Deployment',
    spec: {
      ...(keda ? {} : { replicas: 2 }),
      containers: [
        { name: 'app', image: token('image.tag'), port: bareToken('port') },
        ...(mesh === 'none' ? [] : [{ name: 'proxy', mesh }]),
      ],
    },
  }))
  expect(text).toBe(`---
kind: Deployment
spec:
{{- if not .Values.keda }}
  replicas: 2
{{- end }}
  containers:
    - name: app
      image: "{{ .Values.image.tag }}"
      port: {{ .Values.port }}
{{- if or (eq .Values.mesh "istio") (eq .Values.mesh "linkerd") }}
    -
      name: proxy
{{- if eq .Values.mesh "istio" }}
      mesh: istio
{{- else }}
      mesh: linkerd
{{- end }}
{{- end }}`)
})

test('an object that only some have stands in their condition', () => {
  expect(templateOf((mesh, keda) => (keda && mesh === 'none' ? { kind: 'ScaledObject' } : undefined))).toBe(
    [
      '{{- if eq .Values.mesh "none" }}',
      '{{- if .Values.keda }}',
      '---',
      'kind: ScaledObject',
      '{{- end }}',
      '{{- end }}',
    ].join('\n'),
  )
})

test('what looks like a template in an alert or a legend stays as it is', () => {
  expect(templateOf(() => ({ legend: '{{ service }}', '{{ key }}': 'a {{- b }}' }))).toBe(`---
legend: "{{ "{{" }} service }}"
"{{ "{{" }} key }}": "a {{ "{{" }}- b }}"`)
})
