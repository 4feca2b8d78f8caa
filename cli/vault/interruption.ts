// Stopping on request. The vault's protocol survives a kill at any moment, so stopping needs no clean-up of its own: stores
// and sources refuse the next request, and the command unwinds through its own failures. Only what a command keeps for
// itself may still be taken away: the pins of what reads, and what was written to measure.

import { HoldfastFailure } from "../../src/base/failure.ts";
import type { DiskSource, SnapshotIdentity } from "../../src/ports/disk-source.ts";
import type { ByteRange, ObjectStore } from "../../src/ports/object-store.ts";
import { BENCH_PREFIX, PINS_PREFIX } from "../../src/vault/format/names.ts";

export function refuseIfStopped(signal: AbortSignal): void {
  if (!signal.aborted) return;
  throw new HoldfastFailure("cancelled", "HoldfastStopped", "Stopped, as asked");
}

export function stoppableStore(store: ObjectStore, signal: AbortSignal): ObjectStore {
  return new StoppableStore(store, signal);
}

class StoppableStore implements ObjectStore {
  readonly location: string;
  private readonly store: ObjectStore;
  private readonly signal: AbortSignal;

  constructor(store: ObjectStore, signal: AbortSignal) {
    this.store = store;
    this.signal = signal;
    this.location = store.location;
  }

  async create(name: string, body: Uint8Array) {
    refuseIfStopped(this.signal);
    return this.store.create(name, body);
  }

  async replace(name: string, body: Uint8Array, etag: string) {
    refuseIfStopped(this.signal);
    return this.store.replace(name, body, etag);
  }

  async read(name: string, range?: ByteRange) {
    refuseIfStopped(this.signal);
    return this.store.read(name, range);
  }

  async *list(prefix: string) {
    refuseIfStopped(this.signal);
    for await (const page of this.store.list(prefix)) {
      yield page;
      refuseIfStopped(this.signal);
    }
  }

  async delete(name: string) {
    if (!name.startsWith(PINS_PREFIX) && !name.startsWith(BENCH_PREFIX)) refuseIfStopped(this.signal);
    return this.store.delete(name);
  }
}

/** Comparing a disk that has not changed asks the store for nothing, so the source must listen too. */
export function stoppableSource(source: DiskSource, signal: AbortSignal): DiskSource {
  return {
    sizeBytes: source.sizeBytes,
    identity: source.identity,
    allocatedRanges: () => source.allocatedRanges(),
    changedRanges: (since: SnapshotIdentity) => source.changedRanges(since),
    read: async (range: ByteRange) => {
      refuseIfStopped(signal);
      return source.read(range);
    },
  };
}
