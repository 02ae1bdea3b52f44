/** The part of Ginkgo's JUnit report that we need: every spec with its outcome. */
export interface Spec {
  readonly name: string;
  readonly status: 'passed' | 'failed' | 'skipped';
  readonly seconds: number;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** @throws Error when the text has no test case at all: a run that reports nothing is not a run */
export function parseJunit(xml: string): readonly Spec[] {
  const specs = [...xml.matchAll(/<testcase\s([^>]*)>/g)].map(([, attributes = '']) => {
    const { name = '', status = '', time = '0' } = readAttributes(attributes);
    return { name: name.replace(/^\[It\] /, ''), status: outcome(status), seconds: Number(time) };
  });
  if (specs.length === 0) throw new Error('the JUnit report has no test case');
  // Set-up and tear-down nodes are reported too, as cases; they count only when they fail.
  return specs.filter(({ name, status }) => !name.startsWith('[') || status === 'failed');
}

function readAttributes(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...text.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, key = '', value = '']) => [key, decode(value)]),
  );
}

function decode(text: string): string {
  return text.replace(/&(?:#(\d+)|#x([0-9a-fA-F]+)|(\w+));/g, (whole, decimal, hex, name) => {
    if (decimal) return String.fromCodePoint(Number(decimal));
    if (hex) return String.fromCodePoint(Number.parseInt(hex, 16));
    return ENTITIES[name] ?? whole;
  });
}

/** Ginkgo also knows panicked, interrupted, aborted and timedout: all of them failed. */
function outcome(status: string): Spec['status'] {
  if (status === 'passed') return 'passed';
  return status === 'skipped' || status === 'pending' ? 'skipped' : 'failed';
}
