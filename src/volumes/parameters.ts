/** Names of Kubernetes objects that the sidecars add (`--extra-create-metadata`): for people, not for us. */
export const METADATA_PREFIX = 'csi.storage.k8s.io/';

type Parameters = Readonly<Record<string, string>>;

/** True when both ask for the same thing. What only describes the caller's own object may differ between retries. */
export function askTheSame(a: Parameters, b: Parameters): boolean {
  const [ours, theirs] = [significant(a), significant(b)];
  return ours.size === theirs.size && [...ours].every(([key, value]) => theirs.get(key) === value);
}

function significant(parameters: Parameters): ReadonlyMap<string, string> {
  return new Map(Object.entries(parameters).filter(([key]) => !key.startsWith(METADATA_PREFIX)));
}
