/** The closing repeat sign, drawn: few fonts have it. */
export function RepeatSign(props: { className?: string }) {
  return (
    <svg viewBox="0 0 20 24" className={props.className} fill="currentColor" aria-hidden="true">
      <circle cx="3" cy="8.5" r="2.3" />
      <circle cx="3" cy="15.5" r="2.3" />
      <rect x="8" y="1" width="2" height="22" rx="1" />
      <rect x="13" y="1" width="5.5" height="22" rx="1.2" />
    </svg>
  )
}
