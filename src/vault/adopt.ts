// Making a copy live on by itself: after a failover, a point-in-time restore or a folder copy. Replication promises no order
// between objects, so the copy is verified first; transfers that were running when it was made can never go on, and are
// given up; then the copy gets an identity of its own.

import { HoldfastFailure } from "../base/failure.ts";
import type { Json } from "./format/canonical-json.ts";
import { PINS_PREFIX, parsePinName, type TransferId, VAULT_RECORD } from "./format/names.ts";
import { pinRecord, vaultRecord } from "./format/records.ts";
import { listObjects, readRecord, writeRecord } from "./objects.ts";
import { randomHex, type Vault } from "./open-vault.ts";
import { abandonTransfer } from "./points.ts";
import { type Verification, verifyVault } from "./verify.ts";

export interface Adoption {
  readonly verification: Verification;
  readonly voided: readonly TransferId[];
}

export async function adoptVault(vault: Vault, options: { readonly evenIfDamaged?: boolean } = {}): Promise<Adoption> {
  const verification = await verifyVault(vault, { data: "none" });
  if (verification.findings.length > 0 && !options.evenIfDamaged) {
    const count = verification.findings.length;
    throw new HoldfastFailure("corrupt", "HoldfastCopyIncomplete", `The copy is incomplete: ${count} findings`, {
      hint: "`holdfast vault verify` names them. With --force it is adopted as it is.",
    });
  }
  const adopted: Vault = { ...vault, isWritable: true };
  const voided: TransferId[] = [];
  for await (const { name } of listObjects(vault.state, PINS_PREFIX)) {
    const transfer = parsePinName(name);
    const pin = await readRecord(vault, pinRecord, name);
    if (pin?.body.kind === "transfer" && pin.body.item) {
      await abandonTransfer(adopted, { item: pin.body.item, transfer }, "the vault was adopted from a copy");
    } else await vault.state.delete(name);
    voided.push(transfer);
  }
  await takeIdentity(vault);
  return { verification, voided };
}

async function takeIdentity(vault: Vault): Promise<void> {
  const seen = await readRecord(vault, vaultRecord, VAULT_RECORD);
  if (!seen) throw new HoldfastFailure("not-found", "HoldfastNoVault", "The vault's record is gone");
  const locations = { archive: vault.archive.location, state: vault.state.location };
  const next = { ...seen.body, instanceId: randomHex(vault.random), locations, sequence: seen.body.sequence + 1 };
  if (await writeRecord(vault, VAULT_RECORD, next as unknown as Json & object, seen)) return;
  throw new HoldfastFailure("conflict", "HoldfastContended", "Somebody else changed the vault's record; adopt again");
}
