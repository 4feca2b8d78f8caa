// Which vault a machine belongs to: one row for each machine, changed by compare-and-swap alone.
//
// A claim is taken in three steps: write it unsettled, let the item (or the registered container) stand, settle it. Whoever
// finds a claim of which nothing stands takes it over, by a swap from what was read *before* looking for the item. So of two
// vaults at most one settles: if the second one swapped, the first can no longer settle, and takes its item back; if the
// first one settled, the second's swap fails, and it looks again. A crash in between leaves an unsettled claim, or one whose
// item is gone, and both are taken over by the next who wants the machine.

import { HoldfastFailure } from "../base/failure.ts";
import type { ControlDeps } from "./control-deps.ts";
import { CONTAINER_ROWS, containerPlace } from "./rows/container-row.ts";
import { CLAIM_ROWS, type ClaimBody, claimPlace, ITEM_ROWS, type ItemBody, itemPlace } from "./rows/item-row.ts";
import { type Held, insertRow, readRow, removeHeldRow, replaceRow } from "./rows/row-kind.ts";
import { VAULT_ROWS, type VaultBody, type VaultKey, vaultPlace } from "./rows/vault-row.ts";

type ClaimDeps = Pick<ControlDeps, "tables">;

const MAX_RACES = 16;

export interface StandingClaim {
  readonly claim: ClaimBody;
  readonly vault: VaultBody;
  /** Undefined when the machine is only registered. */
  readonly item: ItemBody | undefined;
}

/** Who has the machine; undefined when nobody has, or a claim is there of which nothing stands. */
export async function findClaim(deps: ClaimDeps, machineId: string): Promise<StandingClaim | undefined> {
  const held = await readRow(deps.tables, CLAIM_ROWS, claimPlace(machineId));
  return held && standingOf(deps, held.body);
}

/** The first two steps: afterwards the item is inserted, and then the claim settled. Taken again by the same job: granted. */
export async function takeClaim(
  deps: ClaimDeps,
  machineId: string,
  wanted: { readonly vault: VaultKey; readonly item: string; readonly container: string; readonly job: string },
): Promise<void> {
  const { container: containerName, ...names } = wanted;
  const claim: ClaimBody = { ...names, containerName, isSettled: false };
  for (let race = 0; race < MAX_RACES; race++) {
    const held = await readRow(deps.tables, CLAIM_ROWS, claimPlace(machineId));
    if (held?.body.job === wanted.job) return;
    if (held && held.body.vault !== wanted.vault) {
      const standing = await standingOf(deps, held.body);
      if (standing) throw claimed(machineId, standing.vault);
    }
    const isMine = held
      ? await replaceRow(deps.tables, CLAIM_ROWS, held, claim)
      : await insertRow(deps.tables, CLAIM_ROWS, claimPlace(machineId), claim);
    if (isMine) return;
  }
  throw new HoldfastFailure("unavailable", "HoldfastClaimContended", `Several vaults want the machine ${machineId}`, {
    hint: "Try again.",
  });
}

/** False when another job took the claim meanwhile: then what was inserted has to go. */
export async function settleClaim(deps: ClaimDeps, machineId: string, job: string): Promise<boolean> {
  for (let race = 0; race < MAX_RACES; race++) {
    const held = await readRow(deps.tables, CLAIM_ROWS, claimPlace(machineId));
    if (held?.body.job !== job) return false;
    if (held.body.isSettled) return true;
    if (await replaceRow(deps.tables, CLAIM_ROWS, held, { ...held.body, isSettled: true })) return true;
  }
  return false;
}

/** For who is about to remove an item or a container: what is read now is given up when that is gone. */
export async function readClaim(
  deps: ClaimDeps,
  machineId: string,
  vault: VaultKey,
): Promise<Held<ClaimBody> | undefined> {
  const held = await readRow(deps.tables, CLAIM_ROWS, claimPlace(machineId));
  return held?.body.vault === vault ? held : undefined;
}

/** Gives up exactly the claim that was read: one that was taken anew since then stays. */
export async function dropClaim(deps: ClaimDeps, held: Held<ClaimBody> | undefined): Promise<void> {
  if (held) await removeHeldRow(deps.tables, CLAIM_ROWS, held);
}

async function standingOf(deps: ClaimDeps, claim: ClaimBody): Promise<StandingClaim | undefined> {
  const vault = (await readRow(deps.tables, VAULT_ROWS, vaultPlace(claim.vault)))?.body;
  if (!vault) return undefined;
  const item = (await readRow(deps.tables, ITEM_ROWS, itemPlace(claim.vault, claim.item)))?.body;
  if (item) return { claim, vault, item };
  const container = await readRow(deps.tables, CONTAINER_ROWS, containerPlace(claim.vault, claim.containerName));
  return container?.body.vaultIncarnation === vault.incarnation ? { claim, vault, item } : undefined;
}

function claimed(machineId: string, vault: VaultBody): HoldfastFailure {
  return new HoldfastFailure(
    "conflict",
    "HoldfastProtectedInAnotherVault",
    `${machineId} belongs to another vault: ${vault.name} in ${vault.resourceGroup}`,
    { hint: "Stop its protection there with deletion of the data first; soft-deleted data counts until it is gone." },
  );
}
