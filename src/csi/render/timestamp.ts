/** @param ms milliseconds since the epoch */
export function renderTimestamp(ms: number): { readonly seconds: string; readonly nanos: number } {
  const seconds = Math.floor(ms / 1000);
  return { seconds: String(seconds), nanos: Math.floor((ms - seconds * 1000) * 1e6) };
}
