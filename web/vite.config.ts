import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'
import { fakeApi } from './dev/fake-api.ts'

/**
 * `vite` and `vite preview` show the page against the small fake API, or against a real server when
 * REPRISE_API names one (`REPRISE_API=http://127.0.0.1:8787`). The build contains neither.
 */
export default defineConfig(({ command }) => {
  const real = process.env.REPRISE_API
  const proxy = real ? { '^/(api|storage|functions|livez)': { target: real, changeOrigin: true } } : undefined
  return {
    root: import.meta.dirname,
    plugins: [react(), tailwindcss(), ...(command === 'serve' && !real ? [fakeApi()] : [])],
    server: { host: '127.0.0.1', proxy },
    preview: { host: '127.0.0.1', proxy },
    build: { outDir: 'dist', emptyOutDir: true, target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  }
})
