import { styleText } from 'node:util';

type Format = Parameters<typeof styleText>[0];

/** Colours on a terminal that wants them (NO_COLOR, FORCE_COLOR), plain text everywhere else. */
export function paint(format: Format, text: string): string {
  return styleText(format, text, { stream: process.stdout });
}

/** The line under the titles of a table. */
export function rule(): string {
  return process.stdout.isTTY ? '─' : '-';
}

/** `9.3 ms`, `431 ms`, `2.10 s`: three digits are enough to compare. */
export function formatMs(ms: number | undefined): string {
  if (ms === undefined) return '-';
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`;
}
