// How far the disks of a job are, how fast their bytes move, and how long that will go on. The pace counts from when bytes
// began to move: a job may have waited hours for its turn before, or for its snapshot, and waiting is no slowness.

export interface DiskProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Since when bytes move, and how many were done by then. Null: none do, or somebody else moves them at once. */
  readonly moving: { readonly since: string; readonly fromBytes: number } | null;
}

export interface JobProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly percent: number;
}

export interface Pace {
  readonly bytesPerSecond: number;
  readonly remainingMs: number;
}

/** Undefined: what there is to do is not known yet. */
export function progressOf(disks: readonly DiskProgress[]): JobProgress | undefined {
  if (disks.length === 0) return undefined;
  const totalBytes = sumOf(disks, (disk) => disk.totalBytes);
  const doneBytes = Math.min(
    totalBytes,
    sumOf(disks, (disk) => disk.doneBytes),
  );
  return { doneBytes, totalBytes, percent: totalBytes === 0 ? 100 : Math.floor((100 * doneBytes) / totalBytes) };
}

/** Undefined while nothing has moved that a pace could be told from, and when nothing is left. */
export function paceOf(disks: readonly DiskProgress[], now: Date): Pace | undefined {
  const moved = disks.flatMap(({ doneBytes, moving }) =>
    moving === null ? [] : [{ sinceMs: Date.parse(moving.since), bytes: doneBytes - moving.fromBytes }],
  );
  const elapsedMs = now.getTime() - Math.min(...moved.map(({ sinceMs }) => sinceMs));
  const movedBytes = sumOf(moved, ({ bytes }) => bytes);
  const leftBytes = sumOf(disks, (disk) => disk.totalBytes - disk.doneBytes);
  if (movedBytes <= 0 || elapsedMs <= 0 || leftBytes <= 0) return undefined;
  return {
    bytesPerSecond: Math.round((1000 * movedBytes) / elapsedMs),
    remainingMs: Math.round((leftBytes * elapsedMs) / movedBytes),
  };
}

function sumOf<Entry>(entries: readonly Entry[], sizeOf: (entry: Entry) => number): number {
  return entries.reduce((sum, entry) => sum + sizeOf(entry), 0);
}
