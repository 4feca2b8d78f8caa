// `holdfast vault verify|gc|adopt|copy`: keeping a vault sound, small, and in more than one place.

import { HoldfastFailure } from "../../src/base/failure.ts";
import { adoptVault } from "../../src/vault/adopt.ts";
import { type CollectionPlan, collect, planCollection } from "../../src/vault/collect.ts";
import { compact, planCompaction } from "../../src/vault/compact.ts";
import { copyVault } from "../../src/vault/copy-vault.ts";
import { voidStaleTransfers } from "../../src/vault/leftovers.ts";
import { requireWritable, type Vault } from "../../src/vault/open-vault.ts";
import { type Verification, type VerifyOptions, verifyVault } from "../../src/vault/verify.ts";
import { type Call, type Command, usage } from "../command-line.ts";
import { bytesText, EXIT_FINDINGS, type Output } from "../output.ts";
import { Progress } from "../progress.ts";
import { openNamed, openStores, SHARED_OPTIONS } from "./location.ts";

export const verifyCommand: Command = {
  name: "verify",
  summary: "Reads back what the vault holds, and says which ranges of which points are damaged.",
  operands: ["vault"],
  options: {
    ...SHARED_OPTIONS,
    structure: { about: "Manifests and indexes only, no data" },
    part: { value: "n/m", about: "The n-th of m equal shares of the data; a share a day covers all in m days" },
    record: { about: "Remember what is bad, so that the next backups heal it" },
  },
  details: "Exit code 1: something is damaged.",
  examples: ["verify /backup/vault --structure", "verify /backup/vault --part 3/30 --record"],
  run: verify,
};

export const collectCommand: Command = {
  name: "gc",
  summary: "Removes points deleted long enough ago, and the data that no point needs.",
  operands: ["vault"],
  options: {
    ...SHARED_OPTIONS,
    "dry-run": { about: "Say what would go, and change nothing" },
    force: { about: "Also when it frees much, or the last point of an item" },
    compact: { about: "Then write packs that are mostly dead anew, without what no point needs" },
  },
  examples: ["gc /backup/vault --dry-run", "gc /backup/vault", "gc /backup/vault --compact"],
  run: collectGarbage,
};

export const adoptCommand: Command = {
  name: "adopt",
  summary: "Lets a copy of a vault live on by itself, after verifying its structure.",
  operands: ["vault"],
  options: {
    ...SHARED_OPTIONS,
    force: { about: "Even if the copy is incomplete" },
    "in-place": { about: "The vault was set back to an earlier state where it lies: nothing else works on it" },
  },
  details: "Until then a copy is read-only. Never adopt a copy and go on with its source as if they were one.",
  examples: ["adopt /mnt/copied-vault --key-file key.json"],
  run: adopt,
};

export const copyCommand: Command = {
  name: "copy",
  summary: "Copies a vault to another place; done again, it copies what is missing.",
  operands: ["vault", "target"],
  options: {
    ...SHARED_OPTIONS,
    "target-connection-string": { value: "text", about: "When the target is in another storage account" },
  },
  details: "The target is given like a vault. The copy is read-only until it is adopted.",
  examples: ['copy "https://account.blob.core.windows.net/v-prod?$SAS" /mnt/usb/prod'],
  run: copy,
};

async function verify(call: Call): Promise<number> {
  const data = chosenShare(call);
  const vault = await openNamed(call);
  const isRecording = call.flags.has("record");
  if (isRecording) requireWritable(vault);
  let readBytes = 0;
  const progress = new Progress(call.output, "verifying");
  const totalBytes = data === "none" ? 0 : await storedBytes(call, data);
  const verified = await verifyVault(vault, {
    data,
    record: isRecording,
    onProgress: ({ bytes }) => {
      readBytes = bytes;
      progress.show(readBytes, Math.max(readBytes, totalBytes));
    },
  }).finally(() => progress.end());
  if (call.flags.has("json")) call.output.print(JSON.stringify(verified, null, 2));
  else printVerification(call.output, verified);
  return verified.findings.length === 0 ? 0 : EXIT_FINDINGS;
}

/** For the progress alone: what the chosen share will read, more or less. */
async function storedBytes(call: Call, data: Exclude<VerifyOptions["data"], "none">): Promise<number> {
  const { archive } = await openStores(call, call.operands[0] as string);
  let bytes = 0;
  for await (const { objects } of archive.list("packs/")) for (const { sizeBytes } of objects) bytes += sizeBytes;
  return data === "all" ? bytes : bytes / data.parts;
}

function chosenShare({ flags }: Call): VerifyOptions["data"] {
  const text = flags.text("part");
  if (flags.has("structure") && text !== undefined) throw usage("Give --structure or --part, not both");
  if (flags.has("structure")) return "none";
  if (text === undefined) return "all";
  const [, part = "0", parts = "0"] = /^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? [];
  const share = { part: Number(part) - 1, parts: Number(parts) };
  if (share.part < 0 || share.part >= share.parts) throw usage(`--part is n/m with n from 1 to m, not "${text}"`);
  return share;
}

function printVerification(output: Output, verified: Verification): void {
  const { points, packs, readPacks, readBytes, findings } = verified;
  output.print(`${points} points, ${packs} packs; read ${readPacks} (${bytesText(readBytes)})`);
  for (const { kind, object, message, affected } of findings) {
    output.print(`${kind}  ${object}: ${message}`);
    for (const { point, disk, offset, length } of affected) {
      output.print(`  ${point.item} ${point.transfer} disk ${disk}: ${length} bytes at ${offset}`);
    }
  }
  output.print(findings.length === 0 ? "Nothing is wrong." : `${findings.length} findings.`);
}

async function collectGarbage(call: Call): Promise<number> {
  const vault = await openNamed(call);
  const isDry = call.flags.has("dry-run");
  const voided = isDry ? [] : await voidStaleTransfers(vault);
  const plan = isDry ? await planCollection(vault) : await collect(vault, { force: call.flags.has("force") });
  const compaction = call.flags.has("compact") ? await compactPacks(vault, isDry) : undefined;
  if (call.flags.has("json")) {
    call.output.print(JSON.stringify({ ...plan, voided, ...(compaction && { compaction }) }, null, 2));
    return 0;
  }
  printPlan(call.output, plan, isDry);
  if (compaction) {
    const [verb, packs, freed] = [isDry ? "would rewrite" : "rewrote", compaction.packs, compaction.freedBytes];
    call.output.print(`${verb} ${packs.length} packs that are mostly dead, for ${bytesText(freed)} of space`);
  }
  return 0;
}

async function compactPacks(vault: Vault, isDry: boolean) {
  if (!isDry) {
    const { packs, wroteBytes, freedBytes } = await compact(vault);
    return { packs, wroteBytes, freedBytes: freedBytes - wroteBytes };
  }
  const { packs, deadBytes } = await planCompaction(vault);
  return { packs, wroteBytes: 0, freedBytes: deadBytes };
}

/** Says "would" where nothing was done. */
function printPlan(output: Output, plan: CollectionPlan, isDry: boolean): void {
  const [drop, sweep] = isDry ? ["would remove", "would free"] : ["removed", "freed"];
  for (const { point, reason } of plan.drops)
    output.print(`${drop} point ${point.transfer} of ${point.item}: ${reason}`);
  for (const point of plan.pinned)
    output.print(`kept point ${point.transfer} of ${point.item}: something still uses it`);
  for (const item of plan.emptiedItems) output.print(`${item} has no point left then`);
  const freed = `${bytesText(plan.freedBytes)} of ${bytesText(plan.packBytes)}`;
  const share = `${plan.sweeps.length} of ${plan.packCount} packs`;
  output.print(`${sweep} ${freed} (${share}), and ${plan.remains.length} leftovers`);
}

async function adopt(call: Call): Promise<number> {
  const vault = await openNamed(call);
  if (vault.isWritable && !call.flags.has("in-place")) {
    throw new HoldfastFailure("conflict", "HoldfastNotACopy", "This is no copy: the vault lives here already", {
      hint: "Adopting gives up the backups that run. If this place was set back to an earlier state: --in-place.",
    });
  }
  const { verification, voided } = await adoptVault(vault, { evenIfDamaged: call.flags.has("force") });
  const { points, findings } = verification;
  if (call.flags.has("json")) call.output.print(JSON.stringify({ points, findings, voided }, null, 2));
  else
    call.output.print(
      `Adopted with ${points} points and ${findings.length} findings; ${voided.length} unfinished transfers were given up.`,
    );
  return 0;
}

async function copy(call: Call): Promise<number> {
  const [, target = ""] = call.operands;
  const vault = await openNamed(call);
  const stores = await openStores(toTarget(call), target, "create");
  let doneBytes = 0;
  const progress = new Progress(call.output, "copying");
  const totalBytes = await storedBytes(call, "all");
  const copied = await copyVault(vault, stores, (bytes) => {
    doneBytes += bytes;
    progress.show(doneBytes, totalBytes);
  }).finally(() => progress.end());
  if (call.flags.has("json")) call.output.print(JSON.stringify(copied, null, 2));
  else {
    const { points, packs, bytes } = copied;
    call.output.print(
      `Copied ${points} points and ${packs} packs (${bytesText(bytes)}). Adopt the copy to write to it.`,
    );
  }
  return 0;
}

/** The same call as it speaks of the target: of its account, and of no state container with a URL of its own. */
function toTarget(call: Call): Call {
  const connection = call.flags.text("target-connection-string");
  const flags = call.flags.with({ "state-url": undefined, ...(connection ? { "connection-string": connection } : {}) });
  return { ...call, flags };
}
