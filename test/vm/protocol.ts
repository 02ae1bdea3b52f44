/** What host and guest say to each other over the serial port: one JSON object a line. */

export interface GuestRequest {
  readonly id: number;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly input: string;
}

export interface GuestResult {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export type GuestReply = { readonly ready: true } | ({ readonly id: number } & GuestResult);
