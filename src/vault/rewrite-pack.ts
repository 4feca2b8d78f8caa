// Writing a pack's next generation: with parts that were lost and found again (repair), or without those that nothing
// needs (compaction). However many do this at once, and wherever one dies, nothing that is needed and sound gets lost:
//
//  - The next generation has the highest listed number plus one. Names are created, never replaced, and a generation goes
//    only after a higher one was read whole and holds all that is wanted of it. So the highest number never falls, a
//    writer whose listing is old writes below the highest, where it matters to nobody, and no deletion, however late,
//    touches the highest.
//  - Whoever wants a part to stay reads it from every generation there is, and is content only with a highest one that
//    has it. Two who want different things therefore end in a generation with both.
//  - What the table of a lower generation speaks of, and nobody has recorded as damaged, must be in the highest one before
//    the lower goes: a flaw of this reading alone costs an error, never the stored part.
//
// Who calls this answers for two things: the pack's transfer is over (else its commit would miss generation 0), and what
// is not kept is needed by no point, now or ever (compact.ts).

import { HoldfastFailure } from "../base/failure.ts";
import type { VaultKey } from "./format/keys.ts";
import { type PackId, packKey, packName } from "./format/names.ts";
import { encodePackFooter, encodePackHeader, encodePackTable, PACK_HEADER_BYTES } from "./format/pack.ts";
import { isKind, seal } from "./objects.ts";
import type { Vault } from "./open-vault.ts";
import { listGenerations, type PackPart, type ReadGeneration, readGeneration } from "./pack-generations.ts";

const MAX_ATTEMPTS = 10;

export interface Rewriting {
  /** Whether a part that was not handed in is to stay, by its hex id. */
  readonly keeps: (id: string) => boolean;
  /** Parts known to be damaged, by their hex ids: they may be missing afterwards. */
  readonly lost: ReadonlySet<string> | "all";
  /** Parts found elsewhere, each verified against its id. */
  readonly found: readonly PackPart[];
  /** Whether a generation with more than what is wanted will do. */
  readonly mayHoldMore: boolean;
  /** The key of the pack, where it has no generation left to tell. */
  readonly key: VaultKey;
}

export interface Rewritten {
  /** Hex ids of what the highest generation now has, each part verified. */
  readonly ids: ReadonlySet<string>;
  readonly sizeBytes: number;
  readonly wroteBytes: number;
  readonly freedBytes: number;
}

/** The pack as it should be, in one generation; undefined when nothing at all of it is left. */
export async function rewritePack(vault: Vault, pack: PackId, rewriting: Rewriting): Promise<Rewritten | undefined> {
  let wroteBytes = 0;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const generations = await readAll(vault, pack);
    if (generations === undefined) continue;
    const wanted = wantedParts(generations, rewriting);
    if (wanted.size === 0) return undefined;
    const highest = generations.at(-1);
    if (highest && isAsWanted(highest, wanted, rewriting)) {
      refuseNewLoss(pack, highest, generations.slice(0, -1), rewriting);
      const freedBytes = await removeBelow(vault, generations);
      return { ids: new Set(wanted.keys()), sizeBytes: highest.sizeBytes, wroteBytes, freedBytes };
    }
    const key = highest?.key ?? rewriting.key;
    const body = packOf(vault, pack, key, [...wanted.values()]);
    const name = packName(pack, (highest?.generation ?? 0) + 1);
    // Whoever wrote there first: the next look tells whether that will do.
    if (await isCreated(vault, name, body)) wroteBytes += body.length;
  }
  throw new HoldfastFailure(
    "unavailable",
    "HoldfastContended",
    `Pack ${packKey(pack)} is rewritten by others all the time`,
  );
}

/** Undefined when one went while they were read. */
async function readAll(vault: Vault, pack: PackId): Promise<ReadGeneration[] | undefined> {
  const read: ReadGeneration[] = [];
  for (const stored of await listGenerations(vault.archive, pack)) {
    const generation = await readGeneration(vault, pack, stored);
    if (generation === undefined) return undefined;
    read.push(generation);
  }
  return read;
}

function wantedParts(generations: readonly ReadGeneration[], { keeps, found }: Rewriting): Map<string, PackPart> {
  const wanted = new Map<string, PackPart>();
  for (const { sound } of generations) {
    for (const [id, part] of sound) if (!wanted.has(id) && keeps(id)) wanted.set(id, part);
  }
  for (const part of found) {
    const id = part.id.toString("hex");
    if (!wanted.has(id)) wanted.set(id, part);
  }
  return wanted;
}

function isAsWanted(
  { sound, listed }: ReadGeneration,
  wanted: ReadonlyMap<string, PackPart>,
  { mayHoldMore }: Rewriting,
): boolean {
  for (const id of wanted.keys()) if (!sound.has(id)) return false;
  return listed !== undefined && (mayHoldMore || listed.length === wanted.size);
}

function refuseNewLoss(
  pack: PackId,
  highest: ReadGeneration,
  lower: readonly ReadGeneration[],
  { keeps, lost }: Rewriting,
): void {
  if (lost === "all") return;
  const isLoss = (id: string) => keeps(id) && !highest.sound.has(id) && !lost.has(id);
  if (lower.every(({ listed }) => listed !== undefined && !listed.some(isLoss))) return;
  throw new HoldfastFailure(
    "corrupt",
    "HoldfastPackDamaged",
    `Pack ${packKey(pack)} is damaged, and was left as it is`,
    {
      hint: "Verify with --record, then repair it.",
    },
  );
}

async function removeBelow(vault: Vault, generations: readonly ReadGeneration[]): Promise<number> {
  let freedBytes = 0;
  for (const { name, sizeBytes } of generations.slice(0, -1)) {
    await vault.archive.delete(name);
    freedBytes += sizeBytes;
  }
  return freedBytes;
}

async function isCreated(vault: Vault, name: string, body: Uint8Array): Promise<boolean> {
  try {
    await vault.archive.create(name, body);
    return true;
  } catch (cause) {
    if (!isKind(cause, "conflict")) throw cause;
    return false;
  }
}

function packOf(vault: Vault, pack: PackId, key: VaultKey, parts: readonly PackPart[]): Buffer {
  const content = parts.some(({ rawLength }) => rawLength > 0) ? "data" : "index";
  let offset = PACK_HEADER_BYTES;
  const entries = parts.map(({ id, rawLength, bytes }) => {
    const entry = { offset, length: bytes.length, rawLength, id };
    offset += bytes.length;
    return entry;
  });
  const binding = { kind: "pack-table" as const, item: null, transfer: pack.transfer };
  const table = seal(vault, key, binding, encodePackTable(pack.number, entries));
  return Buffer.concat([
    encodePackHeader(key, content),
    ...parts.map(({ bytes }) => bytes),
    table,
    encodePackFooter(table.length),
  ]);
}
