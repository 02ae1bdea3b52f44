import type { RoundReport } from './report.ts';

/** What a run tells while it goes on. */
export type ProveEvent =
  /** What is done now. */
  | { readonly kind: 'step'; readonly text: string }
  /** What one should know to read the result. */
  | { readonly kind: 'note'; readonly text: string }
  /** Something went wrong that does not end the run by itself. */
  | { readonly kind: 'trouble'; readonly text: string }
  | { readonly kind: 'round'; readonly report: RoundReport; readonly of: number; readonly bufferedCounts: boolean };

export type Progress = (event: ProveEvent) => void;
