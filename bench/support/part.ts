import type { Column } from '../../src/core/table.ts';

/** What `npm run bench` was asked for. */
export interface BenchOptions {
  /** The csi-driver-host-path binary to compare with; absent: what needs it says that it was not measured. */
  readonly hostpath?: string;
  /** How often each thing is measured; each part has its own default. */
  readonly repetitions?: number;
  /** Existing snapshots in the large case of the part `rpc`. */
  readonly snapshots: number;
}

export interface BenchContext {
  readonly options: BenchOptions;
  /** A folder of this part alone; everything mounted or attached below it is undone, whatever happens. */
  readonly folder: string;
  readonly signal: AbortSignal;
  /** Says what is done now. */
  readonly progress: (text: string) => void;
}

export interface Aim {
  readonly what: string;
  readonly aim: string;
  readonly measured: string;
  readonly reached: boolean;
}

/** One table of the report. */
export interface Section {
  readonly title: string;
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly string[])[];
  readonly aims: readonly Aim[];
  /** What one must know to read it. */
  readonly notes: readonly string[];
  /** The same for programs. */
  readonly data: unknown;
}

export interface Part {
  readonly name: string;
  readonly summary: string;
  readonly run: (context: BenchContext) => Promise<readonly Section[]>;
}
