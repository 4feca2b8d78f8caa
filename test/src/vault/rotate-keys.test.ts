import { describe, expect, it } from "vitest";
import { collect } from "../../../src/vault/collect.ts";
import { copyVault } from "../../../src/vault/copy-vault.ts";
import { type KeyId, keyName, parseKeyName, pinName } from "../../../src/vault/format/names.ts";
import { keyRecord, unverifiedRecord, vaultRecord } from "../../../src/vault/format/records.ts";
import { parseJson } from "../../../src/vault/format/schema.ts";
import { listPoints } from "../../../src/vault/list-points.ts";
import { createVault, openVault, type VaultDeps } from "../../../src/vault/open-vault.ts";
import { beginTransfer } from "../../../src/vault/points.ts";
import { eraseRetired, rotateDataKey, rotateWrapping } from "../../../src/vault/rotate-keys.ts";
import { newTransferId, runBackup } from "../../../src/vault/transfer.ts";
import { verifyVault } from "../../../src/vault/verify.ts";
import type { Outcome } from "../../support/exploration.ts";
import { type Actor, explore, type World } from "../../support/interleavings.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";
import { MemoryStore } from "../../support/memory-store.ts";
import { CHUNK, CountingRandom, restoreFrom, TestVault, TestWrapper, VM } from "../../support/vault-fixture.ts";
import { writePoint } from "./protocol-model.ts";

const OLD = "test-key";
const [fresh, escrow, other] = ["fresh", "escrow", "other"].map((id) => new TestWrapper(id)) as [
  TestWrapper,
  TestWrapper,
  TestWrapper,
];
const old = new TestWrapper(OLD);
const onlyOld = (id: string) => id === OLD;
const everyOther = () => true;

async function withPoint() {
  const fixture = await TestVault.create();
  const disk = new MemoryDisk(40 * CHUNK);
  await fixture.backUp(disk.snapshot());
  disk.fill(0, 9 * CHUNK, 1);
  const manifest = await fixture.backUp(disk.snapshot());
  const opened = (...wrappers: TestWrapper[]) => openVault({ ...fixture.deps, wrappers });
  return { fixture, disk, manifest, opened, bytes: Buffer.from(disk.bytes) };
}

describe("A new wrapping key", () => {
  it("opens everything, the old one nothing more, and no object of the archive was overwritten", async () => {
    const { fixture, manifest, opened, bytes } = await withPoint();
    const before = new Map(fixture.archive.names().map((name) => [name, fixture.archive.bodyOf(name)]));
    const rotated = await rotateWrapping(fixture.deps, { newWrappers: [fresh, escrow], retires: onlyOld });
    expect(rotated).toMatchObject({ openers: ["fresh", "escrow"], retired: [OLD], skipped: [] });
    for (const wrapper of [fresh, escrow]) {
      expect((await restoreFrom(await opened(wrapper), manifest)).equals(bytes)).toBe(true);
    }
    await expect(opened(old)).rejects.toMatchObject({
      kind: "denied",
      code: "HoldfastKeyRetired",
      message: expect.stringContaining("opens with fresh or escrow"),
    });
    for (const [name, body] of before) expect(fixture.archive.bodyOf(name)).toEqual(body);
  });

  it("that is lost leaves the old one a way in, as long as its wrapping was not erased", async () => {
    const { fixture, manifest, bytes } = await withPoint();
    await rotateWrapping(fixture.deps, { newWrappers: [fresh], retires: onlyOld });
    const insisting = { ...fixture.deps, evenRetired: true };
    expect((await restoreFrom(await openVault(insisting), manifest)).equals(bytes)).toBe(true);
    await rotateWrapping(insisting, { newWrappers: [other], retires: (id) => id === "fresh" });
    const rescued = await openVault({ ...fixture.deps, wrappers: [other] });
    expect((await restoreFrom(rescued, manifest)).equals(bytes)).toBe(true);
    expect(await eraseRetired({ ...fixture.deps, wrappers: [other] })).toBe(2);
    await expect(openVault(insisting)).rejects.toMatchObject({ code: "HoldfastWrongKey" });
  });

  it("is added once, however often it is asked for, and its number is never that of one that was erased", async () => {
    const { fixture, manifest } = await withPoint();
    for (let round = 0; round < 2; round++) {
      await rotateWrapping(fixture.deps, { newWrappers: [fresh], retires: () => false });
    }
    const keyNames = () => fixture.archive.names("keys/");
    expect(keyNames()).toHaveLength(2);
    const withFresh = { ...fixture.deps, wrappers: [fresh] };
    await rotateWrapping(withFresh, { newWrappers: [other], retires: (id) => id !== "other" });
    await rotateWrapping({ ...fixture.deps, wrappers: [other] }, { newWrappers: [fresh], retires: onlyOld });
    expect(await eraseRetired({ ...fixture.deps, wrappers: [other] })).toBe(2);
    await rotateWrapping({ ...fixture.deps, wrappers: [other] }, { newWrappers: [escrow], retires: onlyOld });
    expect(keyNames().map((name) => parseKeyName(name).wrapping)).toEqual([2, 3, 4]);
    expect(await restoreFrom(await openVault({ ...fixture.deps, wrappers: [escrow] }), manifest)).toHaveLength(
      40 * CHUNK,
    );
  });

  it("that does not give back what it wrapped retires nothing", async () => {
    const { fixture, opened } = await withPoint();
    const broken = new TestWrapper("broken");
    broken.unwrap = async () => new Uint8Array(32);
    await expect(rotateWrapping(fixture.deps, { newWrappers: [broken], retires: onlyOld })).rejects.toMatchObject({
      code: "HoldfastKeyDoesNotUnwrap",
    });
    await opened(old);
  });

  it("never takes away the last wrapping of a data key that could not be opened", async () => {
    const { fixture, opened } = await withPoint();
    await rotateWrapping(fixture.deps, { newWrappers: [escrow], retires: () => false });
    await rotateDataKey({ ...fixture.deps, wrappers: [escrow] }, { evenMissing: true });
    // The old key opens the first data key alone, and so cannot even read the vault's record.
    await expect(rotateWrapping(fixture.deps, { newWrappers: [fresh], retires: everyOther })).rejects.toMatchObject({
      code: "HoldfastWrongKey",
    });
    await opened(escrow);
    // A third key that opens the second one alone: the first is left as it is.
    const second = (await opened(escrow)).record.activeKeyId;
    const deps = { ...fixture.deps, wrappers: [escrow] };
    const [first] = fixture.archive
      .names("keys/")
      .map((name) => parseKeyName(name).keyId)
      .filter((id) => id !== second);
    await fixture.archive.delete(keyName(first as KeyId, 1));
    const rotated = await rotateWrapping(deps, { newWrappers: [fresh], retires: everyOther });
    expect(rotated).toMatchObject({ skipped: [first], retired: ["escrow"] });
    await expect(opened(fresh, old)).resolves.toMatchObject({ activeKey: { keyId: second } });
    expect((await opened(fresh, old)).keyOf(first as KeyId).keyId).toBe(first);
  });

  it("is no business of a copy, nor of a vault without encryption", async () => {
    const { fixture } = await withPoint();
    const stores = { archive: new MemoryStore("copy:v"), state: new MemoryStore("copy:w") };
    await copyVault(fixture.vault, stores);
    for (const rotate of [
      () => rotateWrapping({ ...fixture.deps, ...stores }, { newWrappers: [fresh], retires: onlyOld }),
      () => rotateDataKey({ ...fixture.deps, ...stores }),
    ]) {
      await expect(rotate()).rejects.toMatchObject({ code: "HoldfastVaultIsCopy" });
    }
    const plain = await TestVault.create({ suite: "none" });
    await expect(rotateDataKey(plain.deps)).rejects.toMatchObject({ kind: "invalid" });
  });
});

describe("A new data key", () => {
  it("is that of the next backup, which shares nothing; every point restores, and collecting takes nothing", async () => {
    const { fixture, disk, manifest, bytes } = await withPoint();
    const { activeKeyId } = await rotateDataKey(fixture.deps);
    fixture.advance(1_000);
    const vault = await fixture.reopen();
    disk.fill(20 * CHUNK, CHUNK, 5);
    const backup = { item: VM, disks: [{ source: disk.snapshot(), name: "os", lun: -1 }] };
    const second = await runBackup(vault, backup, newTransferId(vault));
    expect(second).toMatchObject({ keyId: activeKeyId, disks: [{ stats: { newChunks: 10, reusedChunks: 0 } }] });
    fixture.advance(1_000);
    const third = await runBackup(vault, backup, newTransferId(vault));
    expect(third).toMatchObject({ keyId: activeKeyId, sequence: 4, disks: [{ stats: { newChunks: 0 } }] });
    expect(third.parent?.transfer).toBe(second.transfer);
    expect((await restoreFrom(vault, manifest)).equals(bytes)).toBe(true);
    expect((await restoreFrom(vault, second)).equals(disk.bytes)).toBe(true);
    fixture.advance(24 * 3_600_000);
    expect((await collect(vault)).sweeps).toEqual([]);
    expect((await verifyVault(vault, { data: "all" })).findings).toEqual([]);
  });

  it("leaves a transfer that is under way its key, also when another process goes on with it", async () => {
    const { fixture, disk, bytes } = await withPoint();
    const { vault } = fixture;
    const transfer = newTransferId(vault);
    await beginTransfer(vault, { item: VM, transfer }, []);
    await rotateDataKey(fixture.deps);
    const reopened = await fixture.reopen();
    expect(reopened.activeKey.keyId).not.toBe(vault.activeKey.keyId);
    const backup = { item: VM, disks: [{ source: disk.snapshot(), name: "os", lun: -1 }] };
    const point = await runBackup(reopened, backup, transfer);
    expect(point.keyId).toBe(vault.activeKey.keyId);
    expect((await restoreFrom(reopened, point)).equals(bytes)).toBe(true);
    expect((await verifyVault(reopened, { data: "all" })).findings).toEqual([]);
    expect(fixture.state.names(pinName(transfer))).toEqual([]);
  });

  it("asks for every key that opens the vault, so that none silently opens the past alone", async () => {
    const { fixture, opened } = await withPoint();
    await rotateWrapping(fixture.deps, { newWrappers: [escrow], retires: () => false });
    await expect(rotateDataKey(fixture.deps)).rejects.toMatchObject({
      kind: "conflict",
      code: "HoldfastKeyNotGiven",
      message: expect.stringContaining("escrow"),
    });
    await rotateDataKey({ ...fixture.deps, wrappers: [old, escrow] });
    expect((await opened(escrow)).activeKey.keyId).toBe((await opened(old)).activeKey.keyId);
  });

  it("reaches a copy that was made before, with everything else", async () => {
    const { fixture, disk, manifest, bytes } = await withPoint();
    const stores = { archive: new MemoryStore("copy:v"), state: new MemoryStore("copy:w") };
    await copyVault(fixture.vault, stores);
    await rotateWrapping(fixture.deps, { newWrappers: [fresh], retires: onlyOld });
    await rotateDataKey({ ...fixture.deps, wrappers: [fresh] });
    const vault = await openVault({ ...fixture.deps, wrappers: [fresh] });
    const backup = { item: VM, disks: [{ source: disk.snapshot(), name: "os", lun: -1 }] };
    await runBackup(vault, backup, newTransferId(vault));
    await copyVault(vault, stores);
    const copy = await openVault({ ...fixture.deps, ...stores, wrappers: [fresh] });
    expect(copy.activeKey.keyId).toBe(vault.activeKey.keyId);
    expect((await restoreFrom(copy, manifest)).equals(bytes)).toBe(true);
    await expect(openVault({ ...fixture.deps, ...stores })).rejects.toMatchObject({ code: "HoldfastWrongKey" });
  });
});

describe("A vault without its key", () => {
  it("is refused before anything but its record and its keys is read", async () => {
    const { fixture } = await withPoint();
    const asked: string[] = [];
    const watched = (store: MemoryStore): MemoryStore =>
      new Proxy(store, {
        get(target, name: keyof MemoryStore) {
          const value = target[name];
          if (typeof value !== "function") return value;
          return (...args: unknown[]) => {
            asked.push(`${name} ${args[0]}`);
            return (value as (...args: unknown[]) => unknown).apply(target, args);
          };
        },
      });
    const stores = { archive: watched(fixture.archive), state: watched(fixture.state) };
    for (const wrappers of [[], [fresh]]) {
      asked.length = 0;
      await expect(openVault({ ...fixture.deps, ...stores, wrappers })).rejects.toMatchObject({ kind: "denied" });
      const [keyFile] = fixture.archive.names("keys/");
      expect(asked.filter((call) => call !== "now undefined")).toEqual([
        "read vault.json",
        "list keys/",
        `read ${keyFile}`,
      ]);
    }
  });

  it("opens with whatever its own record names, where no key was given", async () => {
    const { fixture, manifest } = await withPoint();
    const findWrapper = async (id: string) => (id === OLD ? old : undefined);
    const vault = await openVault({ ...fixture.deps, wrappers: [], findWrapper });
    expect(await restoreFrom(vault, manifest)).toHaveLength(40 * CHUNK);
    // A key that was given is what is meant: nobody is asked in its place.
    await expect(openVault({ ...fixture.deps, wrappers: [fresh], findWrapper })).rejects.toMatchObject({
      code: "HoldfastWrongKey",
    });
  });

  it("is one that lost the race to be made: the other opens, whatever it left behind", async () => {
    const [archive, state] = [new MemoryStore("memory:v"), new MemoryStore("memory:w")];
    const makers = ["a", "b"].map((seed) => {
      const random = new CountingRandom(seed);
      const deps = { archive, state, clock: { now: () => state.now() }, random, wrappers: [new TestWrapper(seed)] };
      return { deps, made: createVault(deps, { name: seed, suite: "aes-256-gcm" }) };
    });
    const outcomes = await Promise.allSettled(makers.map(({ made }) => made));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const [index, { status }] of outcomes.entries()) {
      const opening = openVault(makers[index]?.deps as VaultDeps);
      if (status === "fulfilled") await opening;
      else await expect(opening).rejects.toMatchObject({ kind: "denied" });
    }
    expect(archive.names("keys/")).toHaveLength(2);
  });
});

describe("Rotations, in every order with whatever else happens", () => {
  const rotating = (name: string, newWrappers: TestWrapper[], retires: (id: string) => boolean): Actor => ({
    name,
    run: (vault) => rotateWrapping({ ...vault, wrappers: [old] }, { newWrappers, retires }),
  });
  const toFresh = rotating("to fresh", [fresh], onlyOld);
  const toOther = rotating("to other", [other], everyOther);
  const newDataKey: Actor = { name: "data key", run: (vault) => rotateDataKey({ ...vault, wrappers: [old] }) };
  const opener: Actor = { name: "opener", run: (vault) => openVault({ ...vault, wrappers: [old] }) };
  const point = { item: VM, transfer: newTransferIdOf("d") };
  const transfer: Actor = { name: "transfer", run: (vault) => writePoint(vault, point, [], [], []) };
  const eraser: Actor = { name: "eraser", run: (vault) => eraseRetired({ ...vault, wrappers: [fresh, old] }) };

  function newTransferIdOf(digit: string) {
    return digit.repeat(32) as ReturnType<typeof newTransferId>;
  }

  async function world(): Promise<World> {
    const { vault, archive, state } = await TestVault.create();
    return { vault, archive, state };
  }

  /** Every data key that the vault may need has a wrapping that opens, and no record ever changes. */
  function keysStand({ archive, state }: World): void {
    const { activeKeyId, retired = [] } = unverifiedRecord(
      vaultRecord,
      "vault.json",
      state.bodyOf("vault.json") as Uint8Array,
    );
    const live = archive.names("keys/").filter((name) => {
      const { keyId, wrapping } = parseKeyName(name);
      return !retired.some((entry) => entry.keyId === keyId && entry.wrapping === wrapping);
    });
    const records = live.map((name) => parseJson(keyRecord, archive.bodyOf(name) as Uint8Array, name));
    if (!records.some(({ keyId }) => keyId === activeKeyId)) throw new Error("the active key has no live wrapping");
    const all = new Set(archive.names("keys/").map((name) => parseKeyName(name).keyId));
    for (const keyId of all) {
      if (!records.some((record) => record.keyId === keyId)) throw new Error(`data key ${keyId} has no live wrapping`);
    }
  }

  const check = { check: keysStand };
  const lostOrCrashed = (outcome?: Outcome) =>
    outcome?.kind === "crashed" || (outcome?.kind === "failed" && outcome.code === "HoldfastAnswerLost");
  const opensWith = async ({ vault }: World, ...wrappers: TestWrapper[]) => openVault({ ...vault, wrappers });
  const codeOf = async (opening: Promise<unknown>) =>
    opening.then(
      () => "opens",
      (cause) => cause.code as string,
    );

  async function whatSucceededHolds(end: World, outcomes: ReadonlyMap<string, Outcome>): Promise<void> {
    const done = (actor: Actor) => outcomes.get(actor.name)?.kind === "done";
    if (done(toOther) && (await codeOf(opensWith(end, other))) !== "opens") throw new Error("other does not open");
    // The other one can retire it only if its swap took effect, and only its answer can be lost then.
    const otherMaySucceed = lostOrCrashed(outcomes.get(toOther.name));
    if (done(toFresh) && !otherMaySucceed && (await codeOf(opensWith(end, fresh))) !== "opens") {
      throw new Error("fresh does not open");
    }
    const vault = await opensWith(end, fresh, other, old);
    const moved = vault.activeKey.keyId !== end.vault.activeKey.keyId;
    if (done(newDataKey) && !moved) throw new Error("the new data key is not active");
  }

  it("two wrapping keys: whoever succeeded opens the vault, and whoever failed retired nothing", async () => {
    const explored = await explore({
      world: await world(),
      actors: [toFresh, toOther],
      crashes: 1,
      lostAnswers: 1,
      maxPreemptions: 2,
      ...check,
      async checkEnd(end, outcomes) {
        await whatSucceededHolds(end, outcomes);
        const anybody = await opensWith(end, fresh, other, old);
        if (anybody.activeKey.keyId !== end.vault.activeKey.keyId) throw new Error("another data key");
        for (const [name, outcome] of outcomes) {
          const fine = ["HoldfastKeysRotated", "HoldfastKeyRetired", "HoldfastAnswerLost"];
          if (outcome.kind === "failed" && !fine.includes(outcome.code)) throw new Error(`${name}: ${outcome.code}`);
        }
      },
    });
    expect(explored.states).toBeGreaterThan(200);
  }, 120_000);

  it("a wrapping key and a data key: what succeeded holds, and the active key opens with it", async () => {
    const explored = await explore({
      world: await world(),
      actors: [toFresh, newDataKey],
      crashes: 1,
      lostAnswers: 1,
      maxPreemptions: 2,
      ...check,
      async checkEnd(end, outcomes) {
        await whatSucceededHolds(end, outcomes);
      },
    });
    expect(explored.states).toBeGreaterThan(200);
  }, 120_000);

  it("a data key and a transfer's commit: the point lies under the key that its pin was written under", async () => {
    await explore({
      world: await world(),
      actors: [newDataKey, transfer],
      crashes: 1,
      ...check,
      async checkEnd(end, outcomes) {
        if (outcomes.get(transfer.name)?.kind !== "done") return;
        const vault = await opensWith(end, old);
        const keys = [];
        for await (const { manifest } of listPoints(vault)) keys.push(manifest.keyId);
        if (keys.length !== 1 || keys[0] !== end.vault.activeKey.keyId) throw new Error(`points under ${keys}`);
      },
    });
  }, 120_000);

  it("an opening meanwhile opens the vault, or says that its key was retired", async () => {
    const codes = new Set<string>();
    for (const actor of [toFresh, newDataKey, eraser]) {
      const start = await world();
      if (actor === eraser) await toFresh.run(start.vault, start);
      await explore({
        world: start,
        actors: [actor, opener],
        crashes: 1,
        ...check,
        checkEnd(_end, outcomes) {
          const outcome = outcomes.get(opener.name);
          codes.add(outcome?.kind === "failed" ? outcome.code : (outcome?.kind ?? ""));
        },
      });
    }
    // Erased before it was read, or retired before it was looked for.
    expect([...codes].sort()).toEqual(["HoldfastKeyRetired", "HoldfastWrongKey", "crashed", "done"]);
  }, 120_000);

  it("three at once, each set aside twice at most", async () => {
    await explore({
      world: await world(),
      actors: [toFresh, newDataKey, toOther],
      maxPreemptions: 2,
      ...check,
      checkEnd: whatSucceededHolds,
    });
  }, 120_000);
});
