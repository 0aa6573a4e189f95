import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'

/** Leads to what tokens were paid for: the order of pictures that a card is part of, otherwise the generation. */
export function WorkLink(props: { of: { generationId?: string | null; imageJobId?: string | null }; className: string; children: ReactNode }) {
  const { of: { generationId, imageJobId }, ...rest } = props
  if (imageJobId) return <Link to="/images/$id" params={{ id: imageJobId }} {...rest} />
  return generationId ? <Link to="/generations/$id" params={{ id: generationId }} {...rest} /> : null
}
