import { ERRORS, type ErrorCode } from '../kernel/errors.ts'
import { label, text } from '../texts/texts.ts'

/** As much of an OpenAPI 3.1 document as the page shows. */
export interface OpenApiDocument {
  info: { title: string; version: string; description?: string }
  paths?: Record<string, Record<string, Operation>>
  components?: { schemas?: Record<string, unknown> }
}

interface Operation {
  summary?: string
  description?: string
  tags?: string[]
  security?: unknown[]
  parameters?: { name: string; in: string; required?: boolean; description?: string; schema?: unknown }[]
  requestBody?: { content?: Content }
  responses?: Record<string, { description?: string; content?: Content }>
}
type Content = Record<string, { schema?: unknown }>

const METHODS = ['get', 'post', 'put', 'patch', 'delete']

/** The whole reference as one page of plain HTML: no script, no request to anywhere, light and dark. */
export function docsPage(document: OpenApiDocument): string {
  const operations = Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    METHODS.flatMap((method) => (item[method] ? [{ path, method, operation: item[method] }] : [])),
  )
  const groups = Map.groupBy(operations, ({ path, operation }) => operation.tags?.[0] ?? path.split('/')[2] ?? path)
  const sections = [...groups].map(
    ([name, members]) =>
      `<section id="${escape(slug(name))}"><h2>${escape(name)}</h2>${members.map(operationHtml).join('')}</section>`,
  )
  const links = [...groups.keys()].map((name) => `<a href="#${escape(slug(name))}">${escape(name)}</a>`)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escape(document.info.title)} API</title>
<style>${STYLE}</style>
</head>
<body>
<header><h1>${escape(document.info.title)} API <small>${escape(document.info.version)}</small></h1>
<p>${escape(document.info.description ?? '')} Machine readable: <a href="openapi.json">openapi.json</a>.</p>
<nav aria-label="Sections">${links.join(' ')} <a href="#schemas">Schemas</a> <a href="#errors">Errors</a></nav></header>
<main>
${sections.join('\n')}
<section id="schemas"><h2>Schemas</h2>${Object.entries(document.components?.schemas ?? {})
    .map(
      ([name, schema]) =>
        `<details id="schema-${escape(slug(name))}"><summary><b>${escape(name)}</b></summary>${json(schema)}</details>`,
    )
    .join('')}</section>
${errorsHtml()}
</main>
</body>
</html>`
}

function operationHtml({ path, method, operation }: { path: string; method: string; operation: Operation }): string {
  const open = operation.security?.length === 0
  const parameters = (operation.parameters ?? []).map(
    (one) =>
      `<tr><td><code>${escape(one.name)}</code>${one.required ? ' *' : ''}</td><td>${escape(one.in)}</td>` +
      `<td>${typeHtml(one.schema)}</td><td>${escape(one.description ?? '')}</td></tr>`,
  )
  const responses = Object.entries(operation.responses ?? {}).map(
    ([status, { description, content }]) =>
      `<tr><td><code>${escape(status)}</code></td><td>${words(description ?? '')}</td>` +
      `<td>${contentHtml(content)}</td></tr>`,
  )
  return `<details id="${escape(slug(`${method}-${path}`))}"><summary><span class="m">${method.toUpperCase()}</span>
<code>${escape(path)}</code> <span>${escape(operation.summary ?? '')}</span></summary>
${operation.description ? `<p>${words(operation.description)}</p>` : ''}
<p class="dim">${open ? 'Open to all.' : 'Needs a credential.'}</p>
${parameters.length ? `<h3>Parameters</h3><table>${parameters.join('')}</table>` : ''}
${operation.requestBody ? `<h3>Body</h3>${contentHtml(operation.requestBody.content, true)}` : ''}
<h3>Answers</h3><table>${responses.join('')}</table></details>`
}

const contentHtml = (content: Content | undefined, open = false): string =>
  Object.entries(content ?? {})
    .map(([type, { schema }]) => {
      const reference = (schema as { $ref?: string } | undefined)?.$ref
      if (reference) return `<code>${escape(type)}</code> ${typeHtml(schema)}`
      return `<details${open ? ' open' : ''}><summary><code>${escape(type)}</code></summary>${json(schema)}</details>`
    })
    .join('')

function typeHtml(schema: unknown): string {
  const { $ref, type, format, enum: choices } = (schema ?? {}) as Record<string, unknown>
  if (typeof $ref === 'string') {
    const name = $ref.split('/').at(-1)!
    return `<a href="#schema-${escape(slug(name))}">${escape(name)}</a>`
  }
  const words = Array.isArray(choices) ? choices.join(' | ') : [type, format].filter(Boolean).join(' ')
  return escape(words || 'any')
}

function errorsHtml(): string {
  const rows = (Object.keys(ERRORS) as ErrorCode[]).map(
    (code) =>
      `<tr id="${code}"><td><code>${code}</code></td><td>${ERRORS[code].status}</td>` +
      `<td>${escape(label('en', code))}</td>` +
      `<td>${ERRORS[code].retryable ? 'yes' : 'no'}</td><td>${escape(text('en', code))}</td></tr>`,
  )
  return `<section id="errors"><h2>Errors</h2><p>Every error is <code>application/problem+json</code>.</p>
<div class="wide"><table><tr><th>code</th><th>status</th><th>title</th><th>retryable</th><th>text</th></tr>
${rows.join('')}</table></div></section>`
}

const json = (value: unknown): string => `<pre tabindex="0">${escape(JSON.stringify(value, null, 2) ?? '')}</pre>`
const slug = (name: string): string => name.replace(/[^\w-]+/g, '-')
const words = (markdown: string): string => escape(markdown).replace(/`([^`]+)`/g, '<code>$1</code>')
const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escape = (raw: string): string => raw.replace(/[&<>"']/g, (sign) => ESCAPES[sign]!)

const STYLE = `
:root{--ink:#1c1c22;--dim:#5a5a66;--paper:#fff;--line:#d9d9e0;--soft:#f4f4f7;--link:#2546b8}
@media(prefers-color-scheme:dark){
:root{--ink:#ececf1;--dim:#a6a6b3;--paper:#16161b;--line:#34343f;--soft:#1f1f27;--link:#9db4ff}}
*{box-sizing:border-box}body{margin:0 auto;max-width:64rem;padding:1rem;background:var(--paper);color:var(--ink);
font:1rem/1.5 system-ui,sans-serif}a{color:var(--link)}nav a{margin-right:.75rem}small,.dim{color:var(--dim)}
h2{border-bottom:1px solid var(--line)}h3{font-size:1rem;margin:.75rem 0 .25rem}
details{border:1px solid var(--line);border-radius:.4rem;margin:.5rem 0;padding:.5rem .75rem}summary{cursor:pointer}
code,pre{font:.875rem ui-monospace,monospace;overflow-wrap:anywhere}
pre{background:var(--soft);padding:.75rem;overflow:auto}
table{border-collapse:collapse;width:100%}
td,th{border-top:1px solid var(--line);padding:.3rem .5rem;text-align:left;vertical-align:top}
.wide{overflow-x:auto}.m{display:inline-block;min-width:4.5rem;font-weight:700}:target{outline:2px solid var(--link)}
`
