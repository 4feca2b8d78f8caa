// A small vault in memory: a few lines to back up, restore, collect and look around.

import { createHash } from "node:crypto";
import type { Clock, Random } from "../../src/ports/clock.ts";
import type { KeyWrapper, WrappedKey } from "../../src/ports/key-wrapper.ts";
import type { ObjectStore } from "../../src/ports/object-store.ts";
import type { Manifest } from "../../src/vault/format/manifest.ts";
import { type ItemId, parseItemId } from "../../src/vault/format/names.ts";
import { createVault, type NewVault, openVault, type Vault, type VaultDeps } from "../../src/vault/open-vault.ts";
import { restoreDisk } from "../../src/vault/restore-disk.ts";
import { type Backup, backUp } from "../../src/vault/transfer.ts";
import { MemorySink, type MemorySource } from "./memory-disk.ts";
import { MemoryStore } from "./memory-store.ts";

export const KiB = 1024;
export const CHUNK = 64 * KiB;
export const VM = parseItemId("vm-1");

/** Different on every call, the same in every run. */
export class CountingRandom implements Random {
  private count = 0;
  private readonly seed: string;

  constructor(seed = "random") {
    this.seed = seed;
  }

  bytes(length: number): Uint8Array {
    const parts: Buffer[] = [];
    for (let have = 0; have < length; have += 32) {
      parts.push(
        createHash("sha256")
          .update(`${this.seed}/${this.count++}`)
          .digest(),
      );
    }
    return Buffer.concat(parts).subarray(0, length);
  }
}

/** "Wraps" by xor: enough to tell keys apart. */
export class TestWrapper implements KeyWrapper {
  readonly id: string;
  private readonly pad: Buffer;

  constructor(id = "test-key") {
    this.id = id;
    this.pad = createHash("sha256").update(id).digest();
  }

  async wrap(plain: Uint8Array): Promise<WrappedKey> {
    return { wrapperId: this.id, version: "1", algorithm: "xor", bytes: this.xor(plain) };
  }

  async unwrap(wrapped: WrappedKey): Promise<Uint8Array> {
    return this.xor(wrapped.bytes);
  }

  private xor(bytes: Uint8Array): Uint8Array {
    return bytes.map((byte, index) => byte ^ (this.pad[index % 32] as number));
  }
}

export class TestVault {
  readonly archive: MemoryStore;
  readonly state: MemoryStore;
  readonly deps: VaultDeps;
  readonly vault: Vault;

  private constructor(archive: MemoryStore, state: MemoryStore, deps: VaultDeps, vault: Vault) {
    this.archive = archive;
    this.state = state;
    this.deps = deps;
    this.vault = vault;
  }

  static async create(
    wanted: Partial<NewVault> = {},
    { seed, pageSize = 1_000 }: { seed?: string; pageSize?: number | undefined } = {},
  ): Promise<TestVault> {
    const archive = new MemoryStore("memory:v", { pageSize });
    const state = new MemoryStore("memory:w", { pageSize });
    const clock: Clock = { now: () => state.now() };
    const suite = wanted.suite ?? "aes-256-gcm";
    const wrappers = suite === "none" ? [] : [new TestWrapper()];
    const deps = { archive, state, clock, random: new CountingRandom(seed), wrappers };
    const vault = await createVault(deps, { name: "test", suite, chunkBytes: CHUNK, ...wanted });
    return new TestVault(archive, state, deps, vault);
  }

  /** The same vault through other stores: faulty ones, paused ones, copies. */
  through(archive: ObjectStore, state: ObjectStore): Vault {
    return { ...this.vault, archive, state };
  }

  reopen(): Promise<Vault> {
    return openVault(this.deps);
  }

  advance(ms: number): void {
    this.archive.advance(ms);
    this.state.advance(ms);
  }

  backUp(source: MemorySource, more: Partial<Backup> = {}): Promise<Manifest> {
    this.advance(1_000);
    return backUp(this.vault, { item: VM, disks: [{ source, name: "os", lun: -1 }], ...more });
  }

  restore(manifest: Manifest, ordinal = 0): Promise<Buffer> {
    return restoreFrom(this.vault, manifest, ordinal);
  }
}

export async function restoreFrom(vault: Vault, manifest: Manifest, ordinal = 0): Promise<Buffer> {
  const disk = manifest.disks[ordinal];
  if (!disk) throw new Error(`the point has no disk ${ordinal}`);
  const sink = new MemorySink(disk.sizeBytes);
  await restoreDisk(vault, manifest, disk, sink);
  return sink.bytes;
}

export function pointOf(manifest: Manifest): { item: ItemId; transfer: Manifest["transfer"] } {
  return { item: manifest.item, transfer: manifest.transfer };
}
