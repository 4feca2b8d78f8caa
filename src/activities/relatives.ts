// Finding a machine whose stored blocks a first backup may share. A row for what they have in common names the one that was
// stored last; it is a hint, and what it leads to is pinned and checked by the vault like everything that is borrowed.

import type { JobRef } from "../../orchestrations/contracts.ts";
import type { ControlDeps } from "../control/control-deps.ts";
import type { JobBody } from "../control/rows/job-row.ts";
import { changeRow, insertRow, readRow } from "../control/rows/row-kind.ts";
import { RELATIVE_ROWS, relativePlace } from "../control/rows/work-rows.ts";
import { type ItemId, parseItemId } from "../vault/format/names.ts";
import { backupOf } from "./backup-work.ts";

export async function relativeFor(
  deps: ControlDeps,
  ref: JobRef,
  job: JobBody,
  item: ItemId,
): Promise<ItemId | undefined> {
  const { relativeKey } = backupOf(job);
  if (relativeKey === null) return undefined;
  const held = await readRow(deps.tables, RELATIVE_ROWS, relativePlace(ref.vault, relativeKey));
  return held && held.body.archiveItem !== item ? parseItemId(held.body.archiveItem) : undefined;
}

export async function rememberRelative(deps: ControlDeps, ref: JobRef, job: JobBody, item: ItemId): Promise<void> {
  const { relativeKey } = backupOf(job);
  if (relativeKey === null) return;
  const place = relativePlace(ref.vault, relativeKey);
  if (await insertRow(deps.tables, RELATIVE_ROWS, place, { archiveItem: item })) return;
  await changeRow(deps.tables, RELATIVE_ROWS, place, ({ archiveItem }) =>
    archiveItem === item ? undefined : { archiveItem: item },
  );
}
