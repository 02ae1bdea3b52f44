const REDACTED = '[redacted]';
const MAX_STRING = 256;
const MAX_ITEMS = 32;
const MAX_DEPTH = 8;

/**
 * A copy of a message that may be logged: fields named in `secret` are blanked wherever they are, what is empty is left
 * out, what is long is cut.
 */
export function redact(message: unknown, secret: ReadonlySet<string>, depth = 0): unknown {
  if (typeof message === 'string') return message.length > MAX_STRING ? `${message.slice(0, MAX_STRING)}...` : message;
  if (typeof message !== 'object' || message === null) return message;
  if (message instanceof Uint8Array) return `${message.byteLength} bytes`;
  if (depth === MAX_DEPTH) return '...';
  if (Array.isArray(message)) {
    const items = message.slice(0, MAX_ITEMS).map((item) => redact(item, secret, depth + 1));
    return message.length > MAX_ITEMS ? [...items, `and ${message.length - MAX_ITEMS} more`] : items;
  }
  const fields = Object.entries(message).filter(([, value]) => !isEmpty(value));
  const kept = fields
    .slice(0, MAX_ITEMS)
    .map(([key, value]) => [clipKey(key), secret.has(key) ? REDACTED : redact(value, secret, depth + 1)]);
  return Object.fromEntries(kept);
}

function clipKey(key: string): string {
  return key.length > MAX_STRING ? `${key.slice(0, MAX_STRING)}...` : key;
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined || value === '' || value === '0') return true;
  if (typeof value !== 'object' || value instanceof Uint8Array) return false;
  return Object.keys(value).length === 0;
}
