/** Checks the arrows between rooms. A checker that saw nothing would say that all is well, so what it saw is counted. */
import { cruise } from 'dependency-cruiser'
import { createRequire } from 'node:module'
import extractTs from 'dependency-cruiser/config-utl/extract-ts-config'

const LEAST_MODULES = 150
const rules = createRequire(import.meta.url)('../.dependency-cruiser.cjs')
const { output } = await cruise(['server', 'simulator', 'web/src', 'tests', 'bench', 'prove', 'scripts'], { ...rules.options, ruleSet: { forbidden: rules.forbidden }, validate: true, outputType: 'json' }, undefined, { tsConfig: extractTs('tsconfig.json') })
const { summary } = JSON.parse(output as string) as { summary: { totalCruised: number; violations: { from: string; to: string; rule: { name: string } }[] } }
for (const { from, to, rule } of summary.violations) console.error(`${rule.name}: ${from} → ${to}`)
if (summary.totalCruised < LEAST_MODULES) console.error(`only ${summary.totalCruised} modules were seen`)
console.log(`arrows: ${summary.totalCruised} modules, ${summary.violations.length} violations`)
process.exitCode = summary.violations.length || summary.totalCruised < LEAST_MODULES ? 1 : 0
