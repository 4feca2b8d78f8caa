// Whether the objects of the state container open: sidecars, records of items, pins and damage, and what running transfers
// have left so far. None of them holds data; damaged ones stop a collection or a transfer, so they are named early.

import { messageOf } from "../base/failure.ts";
import { decodeFragment, decodeSeal } from "./format/fragment.ts";
import {
  DAMAGE_PREFIX,
  FRAGMENTS_PREFIX,
  ITEMS_PREFIX,
  PINS_PREFIX,
  PLANS_PREFIX,
  type PointId,
  parseDamageName,
  parseItemName,
  parsePinName,
  parseStateName,
  STATES_PREFIX,
  type TransferId,
  transferOfScratch,
} from "./format/names.ts";
import { decodePlan } from "./format/plan.ts";
import { damageRecord, itemRecord, pinRecord, stateRecord } from "./format/records.ts";
import { isKind, listObjects, readIfPresent, readRecord, unseal } from "./objects.ts";
import type { Vault } from "./open-vault.ts";

export interface BadRecord {
  readonly object: string;
  readonly message: string;
}

const RECORDS = [
  { prefix: STATES_PREFIX, parse: parseStateName, schema: stateRecord },
  { prefix: ITEMS_PREFIX, parse: parseItemName, schema: itemRecord },
  { prefix: DAMAGE_PREFIX, parse: parseDamageName, schema: damageRecord },
] as const;

export async function verifyRecords(vault: Vault): Promise<readonly BadRecord[]> {
  const bad: BadRecord[] = [];
  const attempt = async <T>(object: string, open: () => Promise<T> | T): Promise<T | undefined> => {
    try {
      return await open();
    } catch (cause) {
      if (!isKind(cause, "corrupt") && !isKind(cause, "invalid")) throw cause;
      bad.push({ object, message: messageOf(cause) });
      return undefined;
    }
  };
  for (const { prefix, parse, schema } of RECORDS) {
    for await (const { name } of listObjects(vault.state, prefix)) {
      await attempt(name, () => {
        parse(name);
        return readRecord(vault, schema, name);
      });
    }
  }
  const transfers = new Map<TransferId, PointId>();
  for await (const { name } of listObjects(vault.state, PINS_PREFIX)) {
    const transfer = await attempt(name, () => parsePinName(name));
    const pin = transfer && (await attempt(name, () => readRecord(vault, pinRecord, name)));
    if (pin?.body.item) transfers.set(pin.body.transfer, { item: pin.body.item, transfer: pin.body.transfer });
  }
  for (const prefix of [PLANS_PREFIX, FRAGMENTS_PREFIX]) {
    for await (const { name } of listObjects(vault.state, prefix)) {
      const transfer = await attempt(name, () => transferOfScratch(name));
      const point = transfer && transfers.get(transfer);
      // Of a transfer that is over: nobody will read it again.
      if (point) await attempt(name, () => openScratch(vault, point, name));
    }
  }
  return bad;
}

async function openScratch(vault: Vault, point: PointId, name: string): Promise<void> {
  const found = await readIfPresent(vault.state, name);
  if (!found) return;
  if (name.startsWith(PLANS_PREFIX)) decodePlan(unseal(vault, { kind: "plan", ...point }, found.body));
  else if (name.endsWith("-seal")) decodeSeal(unseal(vault, { kind: "seal", ...point }, found.body));
  else decodeFragment(unseal(vault, { kind: "fragment", ...point }, found.body));
}
