/** A whole number from 0 to a billion, or null. */
export function wholeNumber(text: string, most = 1_000_000_000): number | null {
  const plain = text.replace(/\s/g, '')
  const value = Number(plain)
  return /^\d+$/.test(plain) && value <= most ? value : null
}
