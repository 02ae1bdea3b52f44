/** Reports of LVM in JSON (lvmreport(7)). */

/** One row: fields by name, all text. */
export type ReportRow = Readonly<Record<string, string>>;

/** Rows by kind: `lv`, `pv`; and `log`, which says how the command went. */
export type Report = readonly Readonly<Record<string, readonly ReportRow[]>>[];

export interface LvmReply {
  readonly report?: Report;
  readonly log?: readonly ReportRow[];
}

/** @throws SyntaxError for half a reply */
export function parseReply(text: string): LvmReply {
  // LVM 2.03 leaves a comma after the last entry of some logs.
  return JSON.parse(text.replace(/,(\s*[\]}])/g, '$1')) as LvmReply;
}

/** What a command in a process of its own printed. */
export function parseReport(stdout: string): Report {
  return stdout.trim() === '' ? [] : (parseReply(stdout).report ?? []);
}
