import { Composer } from './composer.tsx'
import { GenerationList } from './generation-list.tsx'

export function CreatePage() {
  return (
    <div className="grid items-start gap-8 lg:grid-cols-[minmax(0,25rem)_minmax(0,1fr)]">
      {/* Sticky only while it fits: with its settings open the form is taller than many screens. */}
      <div className="lg:sticky lg:top-20 lg:has-[details[open]]:static">
        <Composer />
      </div>
      <GenerationList />
    </div>
  )
}
