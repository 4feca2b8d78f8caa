// What a verifier found bad, as the writers see it: chunks that must be treated as absent, and read again from the source.

import { DAMAGE_PREFIX, damageName, type PackId, packKey, parseDamageName } from "./format/names.ts";
import { type DamageRecord, damageRecord } from "./format/records.ts";
import { listObjects, readRecord, untilSwapped, writeRecord } from "./objects.ts";
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
  for await (const { name } of listObjects(vault.state, DAMAGE_PREFIX)) {
    parseDamageName(name);
    const found = await readRecord(vault, damageRecord, name);
    if (found) records.push(found.body);
  }
  return new Damage(records);
}

/** Adds to what is known of a pack; nothing known is ever lost to a second verifier. */
export async function recordDamage(
  vault: Vault,
  pack: PackId,
  whole: boolean,
  chunkIds: readonly string[],
): Promise<void> {
  const name = damageName(pack);
  await untilSwapped(name, async () => {
    const seen = await readRecord(vault, damageRecord, name);
    const known = new Set(seen?.body.chunkIds);
    const news = chunkIds.filter((chunkId) => !known.has(chunkId));
    if (seen && news.length === 0 && (seen.body.whole || !whole)) return true;
    const record: DamageRecord = {
      transfer: pack.transfer,
      number: pack.number,
      sequence: (seen?.body.sequence ?? 0) + 1,
      whole: whole || (seen?.body.whole ?? false),
      chunkIds: [...known, ...news].sort(),
      foundAt: seen?.body.foundAt ?? vault.clock.now().toISOString(),
    };
    return (await writeRecord(vault, name, record, seen)) || undefined;
  });
}
