import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { HoldfastFailure } from "../../../src/base/failure.ts";
import type { ObjectStore } from "../../../src/ports/object-store.ts";
import { collect } from "../../../src/vault/collect.ts";
import { compact } from "../../../src/vault/compact.ts";
import { packKey, parsePackName } from "../../../src/vault/format/names.ts";
import { voidStaleTransfers } from "../../../src/vault/leftovers.ts";
import { listPoints } from "../../../src/vault/list-points.ts";
import { deletePoint, undeletePoint } from "../../../src/vault/point-states.ts";
import { repairVault } from "../../../src/vault/repair.ts";
import { newTransferId, runBackup } from "../../../src/vault/transfer.ts";
import { verifyVault } from "../../../src/vault/verify.ts";
import { MemoryDisk } from "../../support/memory-disk.ts";
import { CHUNK, TestVault, VM } from "../../support/vault-fixture.ts";

// Other work may share the machine: slow is not wrong here.
vi.setConfig({ testTimeout: 120_000 });

const DAY_MS = 24 * 3600 * 1000;

vi.setConfig({ testTimeout: 300_000 });

/** A store that dies after some requests: every later one fails, as after a crash of the process. */
function dyingAfter(store: ObjectStore, budget: { left: number }): ObjectStore {
  const step = async <T>(request: () => Promise<T>): Promise<T> => {
    if (budget.left-- <= 0) throw new HoldfastFailure("unavailable", "TestCrash", "the process is gone");
    return request();
  };
  return {
    location: store.location,
    create: (...args) => step(() => store.create(...args)),
    replace: (...args) => step(() => store.replace(...args)),
    read: (...args) => step(() => store.read(...args)),
    delete: (...args) => step(() => store.delete(...args)),
    async *list(prefix) {
      await step(async () => undefined);
      yield* store.list(prefix);
    },
  };
}

const history = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("write" as const),
      at: fc.nat(390),
      chunks: fc.integer({ min: 1, max: 9 }),
      seed: fc.nat(5),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("clear" as const),
      at: fc.nat(390),
      chunks: fc.integer({ min: 1, max: 40 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("back-up" as const), canDiff: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("crash" as const), after: fc.nat(40), resume: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), which: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("undelete" as const), which: fc.nat(9) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom("compact" as const, "repair" as const),
      dieAfter: fc.option(fc.nat(60)),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("collect" as const),
      days: fc.constantFrom(0, 1, 20, 40),
      dieAfter: fc.option(fc.nat(60)),
    }),
  },
);

/** A frame goes bad, and later a verifier finds it. */
const damage = fc.record({ kind: fc.constant("damage" as const), pack: fc.nat(50), part: fc.nat(50) });
const record = fc.record({ kind: fc.constant("record" as const) });
const action = fc.oneof({ weight: 18, arbitrary: history }, damage, record);

describe("Any history of a vault", () => {
  it("leaves every point that is not removed as it was made, and nothing collected that lives", async () => {
    const property = fc.asyncProperty(fc.array(history, { minLength: 3, maxLength: 30 }), async (actions) => {
      const vault = await TestVault.create({ suite: "none", softDeleteDays: 14 });
      const disk = new MemoryDisk(400 * CHUNK + 512);
      const truth = new Map<string, Buffer>();
      for (const step of actions) await play(vault, disk, truth, step);
      for await (const { manifest } of listPoints(vault.vault)) {
        expect((await vault.restore(manifest)).equals(truth.get(manifest.transfer) as Buffer)).toBe(true);
      }
      expect((await verifyVault(vault.vault, { data: "all" })).findings).toEqual([]);
    });
    await fc.assert(property, { numRuns: 40 });
  });

  it("never restores a damaged point as something else, names what is lost, and loses nothing besides", async () => {
    const property = fc.asyncProperty(fc.array(action, { minLength: 6, maxLength: 30 }), async (actions) => {
      const vault = await TestVault.create({ suite: "none", softDeleteDays: 14 });
      const disk = new MemoryDisk(400 * CHUNK + 512);
      const truth = new Map<string, Buffer>();
      const damaged = new Set<string>();
      for (const step of actions) await play(vault, disk, truth, step, damaged);
      const { findings } = await verifyVault(vault.vault, { data: "all" });
      const named = new Set(findings.flatMap(({ affected }) => affected.map(({ point }) => point.transfer)));
      for await (const { manifest } of listPoints(vault.vault)) {
        const restored = await vault.restore(manifest).catch((cause) => cause.kind as string);
        const isSame = typeof restored !== "string" && restored.equals(truth.get(manifest.transfer) as Buffer);
        expect(isSame || restored, manifest.transfer).toBe(named.has(manifest.transfer) ? "corrupt" : true);
      }
      // What is bad is some part that was damaged, and never another.
      const bad = findings.map(({ object }) => packKey(parsePackName(object).pack));
      for (const pack of bad) expect(damaged.has(pack)).toBe(true);
    });
    await fc.assert(property, { numRuns: 30 });
  });

  it("leaves no garbage once everything is over and time has passed", async () => {
    const vault = await TestVault.create({ suite: "none", softDeleteDays: 14 });
    const disk = new MemoryDisk(50 * CHUNK);
    const truth = new Map<string, Buffer>();
    disk.fill(0, 5 * CHUNK, 1);
    await play(vault, disk, truth, { kind: "crash", after: 9, resume: false });
    for (const seed of [2, 3]) {
      disk.fill(0, 5 * CHUNK, seed);
      await play(vault, disk, truth, { kind: "back-up", canDiff: true });
    }
    const [, first, last] = [...truth.keys()];
    await deletePoint(vault.vault, { item: VM, transfer: first as never }, { reason: "expired" });
    for (let day = 0; day < 80; day += 10) {
      vault.advance(10 * DAY_MS);
      await voidStaleTransfers(vault.vault);
      await collect(vault.vault, { force: true });
    }
    const owners = vault.archive.names("packs/").map((name) => name.split("/")[1]);
    expect(new Set(owners)).toEqual(new Set([last]));
    expect(vault.archive.names("points/")).toEqual([`points/vm-1/${last}`, `points/vm-1/${last}.packs`]);
    expect(vault.state.names()).toEqual(["items/vm-1.json", "vault.json"]);
  });
});

type Step = typeof action extends fc.Arbitrary<infer T> ? T : never;

async function play(
  vault: TestVault,
  disk: MemoryDisk,
  truth: Map<string, Buffer>,
  step: Step,
  damaged = new Set<string>(),
): Promise<void> {
  vault.advance(60_000);
  if (step.kind === "write") disk.fill(step.at * CHUNK + 100, step.chunks * 1000, step.seed);
  else if (step.kind === "clear")
    disk.write(step.at * CHUNK, Buffer.alloc(Math.min(step.chunks * CHUNK, disk.bytes.length - step.at * CHUNK)));
  else if (step.kind === "back-up") {
    const manifest = await vault.backUp(disk.snapshot(step));
    truth.set(manifest.transfer, Buffer.from(disk.bytes));
  } else if (step.kind === "damage") flipInFrame(vault, step, damaged);
  else if (step.kind === "record") await verifyVault(vault.vault, { data: "all", record: true });
  else if (step.kind === "compact" || step.kind === "repair") {
    const budget = { left: step.dieAfter ?? Number.POSITIVE_INFINITY };
    const through = vault.through(dyingAfter(vault.archive, budget), dyingAfter(vault.state, budget));
    const work: Promise<unknown> = step.kind === "compact" ? compact(through) : repairVault(through);
    await work.catch(only("TestCrash", "HoldfastCollectionOverlaps", ...(damaged.size > 0 ? DAMAGED : [])));
  } else if (step.kind === "crash") await crashBackup(vault, disk, truth, step.after, step.resume);
  else if (step.kind === "collect") {
    vault.advance(step.days * DAY_MS);
    const budget = { left: step.dieAfter ?? Number.POSITIVE_INFINITY };
    const through = vault.through(dyingAfter(vault.archive, budget), dyingAfter(vault.state, budget));
    await collect(through, { force: true }).catch(only("TestCrash", "HoldfastCollectionOverlaps"));
  } else if (step.kind === "delete" || step.kind === "undelete") {
    const point = { item: VM, transfer: [...truth.keys()].sort()[step.which % Math.max(1, truth.size)] as never };
    if (truth.size === 0) return;
    const change =
      step.kind === "delete"
        ? deletePoint(vault.vault, point, { reason: "expired" })
        : undeletePoint(vault.vault, point);
    await change.catch(only("HoldfastLastPoint", "HoldfastPointNotFound", "HoldfastPointDropping"));
  }
}

async function crashBackup(
  vault: TestVault,
  disk: MemoryDisk,
  truth: Map<string, Buffer>,
  after: number,
  resume: boolean,
) {
  const transfer = newTransferId(vault.vault);
  const backup = { item: VM, disks: [{ source: disk.snapshot(), name: "os", lun: -1 }] };
  const bytes = Buffer.from(disk.bytes);
  const budget = { left: after };
  const through = vault.through(dyingAfter(vault.archive, budget), dyingAfter(vault.state, budget));
  const first = await runBackup(through, backup, transfer).catch(only("TestCrash"));
  const manifest = first ?? (resume ? await runBackup(vault.vault, backup, transfer) : undefined);
  // A crash after the manifest was written leaves a point as well: whatever is listed must be true.
  truth.set(transfer, bytes);
  if (resume) expect(manifest?.transfer).toBe(transfer);
}

/** What a compaction meets in a tree that is damaged. */
const DAMAGED = ["HoldfastMalformed", "HoldfastNotAuthentic", "HoldfastPackLost", "HoldfastChunkLost"];

function flipInFrame(vault: TestVault, { pack, part }: { pack: number; part: number }, damaged: Set<string>): void {
  const names = vault.archive.names("packs/").filter((name) => vault.archive.bodyOf(name)?.[6] === 0);
  const name = names[pack % Math.max(1, names.length)];
  if (name === undefined) return;
  const body = Buffer.from(vault.archive.bodyOf(name) as Uint8Array);
  const frames: number[] = [];
  for (let at = body.indexOf("HFc1"); at >= 0; at = body.indexOf("HFc1", at + 80 + body.readUInt32LE(at + 44)))
    frames.push(at);
  const at = (frames[part % frames.length] as number) + 80 + 5;
  body[at] = (body[at] as number) ^ 1;
  vault.archive.corrupt(name, body);
  damaged.add(packKey(parsePackName(name).pack));
}

function only(...codes: string[]) {
  return (cause: unknown): undefined => {
    if (cause instanceof HoldfastFailure && codes.includes(cause.code)) return undefined;
    throw cause;
  };
}
