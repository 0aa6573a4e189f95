/** The arrows of the house: imports may skip floors downward, never climb; features do not know each other. */
const TESTS = '/testing/|\\.(test|contract|fixture)\\.tsx?$'
const floor = (name, from, to) => ({ name, severity: 'error', from: { path: from, pathNot: TESTS }, to: { path: to } })
const src = '^server/src/'

module.exports = {
  forbidden: [
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
    { name: 'features-do-not-know-each-other', severity: 'error', from: { path: `${src}features/([^/]+)/` }, to: { path: `${src}features/([^/]+)/`, pathNot: `${src}features/$1/` } },
    floor('engine-knows-no-feature-and-no-http', `${src}engine/`, `${src}(features|http-kit|cli|demo|wire|start)`),
    floor('providers-know-only-the-ground', `${src}providers/`, `${src}(features|http-kit|engine|database|media|cli|demo|wire|start)`),
    floor('storage-knows-only-the-ground', `${src}storage/`, `${src}(features|http-kit|engine|database|providers|media|cli|demo|wire|start)`),
    floor('media-knows-only-the-ground', `${src}media/`, `${src}(features|http-kit|engine|database|providers|storage|cli|demo|wire|start)`),
    floor('database-knows-only-the-ground', `${src}database/`, `${src}(features|http-kit|engine|providers|storage|media|cli|demo|wire|start)`),
    floor('http-kit-knows-no-feature', `${src}http-kit/`, `${src}(features|engine|database|providers|storage|media|cli|demo|wire|start)`),
    floor('the-ground-knows-nothing', `${src}(kernel|config|texts)/`, `${src}(features|http-kit|engine|database|providers|storage|media|cli|demo|wire|start)`),
    // Only the start and the tests know the composition root.
    { name: 'only-start-wires', severity: 'error', from: { path: src, pathNot: `${src}(start|main|cli)` }, to: { path: `${src}(wire|start|main)\\.ts$` } },
    // A shared schema would share the mistake.
    floor('simulator-stands-alone', '^simulator/', '^(server|web|tests|bench|prove)/'),
    floor('server-knows-no-simulator', '^server/', '^(simulator|web|tests|bench|prove)/'),
    floor('web-stands-alone', '^web/', '^(server|simulator|tests|bench|prove)/'),
    { name: 'tests-help-only-tests', severity: 'error', from: { path: '^(server|simulator|web)/', pathNot: '(\\.test|\\.contract|\\.fixture)\\.tsx?$|/testing/' }, to: { path: '/testing/|\\.(test|contract|fixture)\\.tsx?$' } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: 'node_modules|/dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.tsx', '.js', '.json'], conditionNames: ['import', 'node', 'default'] },
  },
}
