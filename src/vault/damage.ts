// What a verifier found bad, as the writers see it: chunks that must be treated as absent, and read again from the source.
// A record that says that nothing is bad any more stays as long as its pack: stores delete without looking, and a verifier
// may just have written something new there.

import { DAMAGE_PREFIX, damageName, type PackId, packKey, parseDamageName } from "./format/names.ts";
import { type DamageRecord, damageRecord } from "./format/records.ts";
import { type FoundRecord, listObjects, readRecord, untilSwapped, writeRecord } from "./objects.ts";
import type { Vault } from "./open-vault.ts";

export class Damage {
  private readonly wholePacks = new Set<string>();
  private readonly chunks = new Set<string>();

  constructor(records: Iterable<DamageRecord> = []) {
    for (const record of records) {
      const key = `${record.transfer}-${record.number}`;
      if (record.whole) this.wholePacks.add(key);
      for (const chunkId of record.chunkIds) this.chunks.add(`${key}/${chunkId}`);
    }
  }

  get size(): number {
    return this.wholePacks.size + this.chunks.size;
  }

  has(pack: PackId, chunkId: Buffer): boolean {
    if (this.size === 0) return false;
    const key = packKey(pack);
    return this.wholePacks.has(key) || this.chunks.has(`${key}/${chunkId.toString("hex")}`);
  }
}

export async function readDamage(vault: Vault): Promise<Damage> {
  const records: DamageRecord[] = [];
  for await (const { record } of damagedPacks(vault)) records.push(record);
  return new Damage(records);
}

export interface DamagedPack {
  readonly pack: PackId;
  readonly record: DamageRecord;
}

/** Packs with something bad in them. */
export async function* damagedPacks(vault: Vault): AsyncGenerator<DamagedPack> {
  for await (const { name } of listObjects(vault.state, DAMAGE_PREFIX)) {
    const pack = parseDamageName(name);
    const record = (await readRecord(vault, damageRecord, name))?.body;
    if (record && (record.whole || record.chunkIds.length > 0)) yield { pack, record };
  }
}

export async function readPackDamage(vault: Vault, pack: PackId): Promise<DamageRecord | undefined> {
  return (await readRecord(vault, damageRecord, damageName(pack)))?.body;
}

/** Adds to what is known of a pack; nothing known is ever lost to a second verifier. */
export async function recordDamage(
  vault: Vault,
  pack: PackId,
  whole: boolean,
  chunkIds: readonly string[],
): Promise<void> {
  await changeDamage(vault, pack, (seen) => {
    const known = new Set(seen?.chunkIds);
    const news = chunkIds.filter((chunkId) => !known.has(chunkId));
    if (seen && news.length === 0 && (seen.whole || !whole)) return undefined;
    return { whole: whole || (seen?.whole ?? false), chunkIds: [...known, ...news].sort() };
  });
}

/** Takes away what the pack has again, if nothing was added to what the repair knew of. */
export async function recordRepair(vault: Vault, known: DamageRecord, pack: PackId, ids: ReadonlySet<string>) {
  await changeDamage(vault, pack, (seen) => {
    if (seen?.sequence !== known.sequence) return undefined;
    return { whole: false, chunkIds: seen.chunkIds.filter((chunkId) => !ids.has(chunkId)) };
  });
}

type Change = (seen: DamageRecord | undefined) => Pick<DamageRecord, "whole" | "chunkIds"> | undefined;

async function changeDamage(vault: Vault, pack: PackId, change: Change): Promise<void> {
  const name = damageName(pack);
  await untilSwapped(name, async () => {
    const seen: FoundRecord<DamageRecord> | undefined = await readRecord(vault, damageRecord, name);
    const changed = change(seen?.body);
    if (changed === undefined) return true;
    const record: DamageRecord = {
      ...{ transfer: pack.transfer, number: pack.number, ...changed },
      sequence: (seen?.body.sequence ?? 0) + 1,
      foundAt: seen?.body.foundAt ?? vault.clock.now().toISOString(),
    };
    return (await writeRecord(vault, name, record, seen)) || undefined;
  });
}
