// The archives of a test's vaults, in memory, with the test's own clock.

import type { Archives } from "../../src/control/control-deps.ts";
import type { VaultBody } from "../../src/control/rows/vault-row.ts";
import { createVault, openVault, type Vault, type VaultDeps } from "../../src/vault/open-vault.ts";
import { behind, type Gate } from "./gate.ts";
import { MemoryStore } from "./memory-store.ts";
import { CountingRandom, TestWrapper } from "./vault-fixture.ts";

export class TestArchives implements Archives {
  readonly stores = new Map<string, { readonly archive: MemoryStore; readonly state: MemoryStore }>();
  private readonly random = new CountingRandom("archives");
  private readonly now: () => Date;
  private readonly chunkBytes: number | undefined;

  constructor(now: () => Date, chunkBytes?: number) {
    this.now = now;
    this.chunkBytes = chunkBytes;
  }

  async prepare(vault: VaultBody, containerName: string): Promise<Vault> {
    if (this.stores.has(containerName)) return this.open(vault);
    const archive = new MemoryStore(`memory:${containerName}`);
    const state = new MemoryStore(`memory:w-${containerName}`);
    this.stores.set(containerName, { archive, state });
    const chunk = this.chunkBytes === undefined ? {} : { chunkBytes: this.chunkBytes };
    return createVault(this.depsOf(containerName), { name: vault.name, suite: "aes-256-gcm", ...chunk });
  }

  async open(vault: VaultBody, gate?: Gate): Promise<Vault> {
    const deps = this.depsOf(vault.archive?.containerName ?? "");
    if (gate === undefined) return openVault(deps);
    const archive = behind(gate, "archive", deps.archive);
    return openVault({ ...deps, archive, state: behind(gate, "state", deps.state) });
  }

  behind(gate: Gate): Archives {
    return {
      prepare: (vault, containerName) => this.prepare(vault, containerName),
      open: (vault) => this.open(vault, gate),
    };
  }

  private depsOf(containerName: string): VaultDeps {
    const stores = this.stores.get(containerName);
    if (!stores) throw new Error(`there is no container ${containerName}`);
    for (const store of [stores.archive, stores.state]) {
      store.advance(Math.max(0, this.now().getTime() - store.now().getTime()));
    }
    return { ...stores, clock: { now: this.now }, random: this.random, wrappers: [new TestWrapper()] };
  }
}
