import { QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { queryClient } from './app/queries.ts'
import { router } from './app/router.tsx'
import { I18nProvider, startLanguage } from './i18n/i18n.tsx'
import './styles.css'

// The server writes progress in the reader's language: another language means asking again.
const askAgain = () => void queryClient.invalidateQueries()

const start = await startLanguage()
createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <I18nProvider start={start} onChange={askAgain}>
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </I18nProvider>
  </StrictMode>,
)
