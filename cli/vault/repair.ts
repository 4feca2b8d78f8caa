// `holdfast vault repair`: packs that a verification recorded as damaged, written anew from what else there is.

import { packName } from "../../src/vault/format/names.ts";
import { openVault } from "../../src/vault/open-vault.ts";
import { type PackRepair, repairVault } from "../../src/vault/repair.ts";
import type { Call, Command } from "../command-line.ts";
import { EXIT_FINDINGS, type Output } from "../output.ts";
import { depsOf, openNamed, SHARED_OPTIONS } from "./location.ts";

export const repairCommand: Command = {
  name: "repair",
  summary:
    "Heals packs recorded as damaged, from other packs or a copy of the vault, and so every point that uses them.",
  operands: ["vault"],
  options: {
    ...SHARED_OPTIONS,
    from: { value: "vault", about: "A copy of the vault that may still have what this one has lost" },
  },
  details: [
    "Verify with --record first. A backup repairs by itself what it reads again; an old image of the disk, backed up as",
    "another item, gives back what only older points had. Exit code 1: some of it is still lost.",
  ].join("\n"),
  examples: ["repair /backup/vault", "repair /backup/vault --from /mnt/usb/vault"],
  run: repair,
};

async function repair(call: Call): Promise<number> {
  const vault = await openNamed(call);
  const copy = call.flags.text("from");
  const repairs = await repairVault(vault, copy ? { from: await openVault(await depsOf(call, copy)) } : {});
  if (call.flags.has("json")) call.output.print(JSON.stringify(repairs, null, 2));
  else printRepairs(call.output, repairs);
  return repairs.every(({ lost, failure }) => lost.length === 0 && !failure) ? 0 : EXIT_FINDINGS;
}

function printRepairs(output: Output, repairs: readonly PackRepair[]): void {
  for (const { pack, healed, lost, failure } of repairs) {
    output.print(
      `${packName(pack)}: ${healed} parts healed, ${lost.length} still lost${failure ? `: ${failure}` : ""}`,
    );
  }
  if (repairs.length === 0) output.print("No damage is recorded.");
}
