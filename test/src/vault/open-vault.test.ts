import { describe, expect, it } from "vitest";
import { HoldfastFailure } from "../../../src/base/failure.ts";
import type { ObjectStore } from "../../../src/ports/object-store.ts";
import { openOrCreateVault, openVault, type VaultDeps } from "../../../src/vault/open-vault.ts";
import { MemoryStore } from "../../support/memory-store.ts";
import { CountingRandom, TestWrapper } from "../../support/vault-fixture.ts";

const WANTED = { name: "test", suite: "aes-256-gcm" } as const;

function newDeps(): VaultDeps {
  const state = new MemoryStore("memory:w");
  const clock = { now: () => state.now() };
  const archive = new MemoryStore("memory:v");
  return { archive, state, clock, random: new CountingRandom(), wrappers: [new TestWrapper()] };
}

/** Dies at its nth write: before it takes effect, or after. */
function dying(deps: VaultDeps, writes: { left: number }, takesEffect: boolean): VaultDeps {
  const behind = (store: ObjectStore): ObjectStore =>
    Object.assign(Object.create(store) as ObjectStore, {
      async create(name: string, body: Uint8Array) {
        if (writes.left-- > 0) return store.create(name, body);
        if (takesEffect) await store.create(name, body);
        throw new HoldfastFailure("unavailable", "Died", "the process died");
      },
    });
  return { ...deps, archive: behind(deps.archive), state: behind(deps.state) };
}

describe("A vault that is opened or made", () => {
  it("is made once by many that begin at the same moment, and all open the same", async () => {
    const deps = newDeps();
    const vaults = await Promise.all(Array.from({ length: 5 }, () => openOrCreateVault(deps, WANTED)));
    expect(new Set(vaults.map(({ vaultId }) => vaultId)).size).toBe(1);
    expect((await openVault(deps)).vaultId).toBe(vaults[0]?.vaultId);
  });

  for (const takesEffect of [true, false]) {
    it(`is made by whoever comes after one that died at any write ${takesEffect ? "after" : "before"} it took effect`, async () => {
      let deaths = 0;
      for (let at = 0; ; at++) {
        const deps = newDeps();
        const isDead = await openOrCreateVault(dying(deps, { left: at }, takesEffect), WANTED).then(
          () => false,
          () => true,
        );
        if (!isDead) break;
        deaths++;
        expect((await openOrCreateVault(deps, WANTED)).isWritable).toBe(true);
      }
      expect(deaths).toBe(2);
    });
  }

  it("is not made over the remains of another, whose keys are not all there is", async () => {
    const deps = newDeps();
    await deps.archive.create("packs/00000000000000000000000000000000/0000000000000000.g0", Buffer.from("x"));
    await expect(openOrCreateVault(deps, WANTED)).rejects.toMatchObject({ code: "HoldfastNoVault" });
  });
});
