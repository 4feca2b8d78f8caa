// `holdfast vault ...`: what can be done to a vault without any service. Each command takes parsed arguments, does one
// thing through src/vault, and answers an exit code.

import { stat } from "node:fs/promises";
import { HoldfastFailure } from "../src/base/failure.ts";
import { createImage, type ImageFormat, openImage } from "../src/files/image-disk.ts";
import { createKeyFile } from "../src/files/key-file.ts";
import { adoptVault } from "../src/vault/adopt.ts";
import { type CollectionPlan, collect, planCollection } from "../src/vault/collect.ts";
import { copyVault } from "../src/vault/copy-vault.ts";
import { diffDisks } from "../src/vault/diff-points.ts";
import type { Manifest, ManifestDisk } from "../src/vault/format/manifest.ts";
import { parseItemId, parseTransferId } from "../src/vault/format/names.ts";
import { voidStaleTransfers } from "../src/vault/leftovers.ts";
import { findPoint, type ListedPoint, listPoints } from "../src/vault/list-points.ts";
import { createVault, type Vault } from "../src/vault/open-vault.ts";
import { deletePoint, holdPoint, releaseHold, undeletePoint } from "../src/vault/point-states.ts";
import { pinFor, whilePinned } from "../src/vault/points.ts";
import { restoreDisk } from "../src/vault/restore-disk.ts";
import { backUp, newTransferId } from "../src/vault/transfer.ts";
import { type VerifyOptions, verifyVault } from "../src/vault/verify.ts";
import { bytesText, EXIT_FINDINGS, type Output, ProgressLine, table } from "./output.ts";
import { depsFor, type LocationOptions, openAt, openStores } from "./vault-location.ts";

export interface VaultArguments extends LocationOptions {
  readonly positionals: readonly string[];
  readonly flags: Readonly<Record<string, string | boolean | string[] | undefined>>;
  readonly output: Output;
}

type Command = (args: VaultArguments) => Promise<number>;

export const vaultCommands: Readonly<Record<string, { readonly usage: string; readonly run: Command }>> = {
  init: { usage: "<vault> --key-file <new file> | --no-encryption   [--name <name>] [--chunk-kib 512]", run: init },
  backup: { usage: "<vault> <item> <image>...   [--changed <file of offset length>] [--tag <tag>]", run: backup },
  ls: { usage: "<vault> [<item>]   [--json]", run: list },
  show: { usage: "<vault> <item> <point>|latest   [--json]", run: show },
  verify: { usage: "<vault>   [--structure | --part n/m] [--record] [--json]", run: verify },
  restore: {
    usage: "<vault> <item> <point>|latest <target file>   [--disk n] [--format raw|vhd] [--zeros-for-unreadable]",
    run: restore,
  },
  export: {
    usage: "<vault> <item> <point>|latest <target file>   the same as restore, as VHD unless told",
    run: exportDisk,
  },
  diff: { usage: "<vault> <item> <point> <point>   [--disk n] [--json]", run: diff },
  delete: { usage: "<vault> <item> <point>   [--force]", run: (args) => change(args, deletion) },
  undelete: {
    usage: "<vault> <item> <point>",
    run: (args) => change(args, (vault, { point }) => undeletePoint(vault, point)),
  },
  hold: { usage: "<vault> <item> <point> [--reason <text>] | --release", run: (args) => change(args, hold) },
  gc: { usage: "<vault>   [--dry-run] [--force] [--json]", run: collectGarbage },
  adopt: { usage: "<vault>   [--force]", run: adopt },
  copy: { usage: "<vault> <target>", run: copy },
  "rebuild-catalog": { usage: "<vault>   prints every point as a line of JSON", run: rebuildCatalog },
};

async function init(args: VaultArguments): Promise<number> {
  const location = argument(args, 0, "a vault");
  const keyFile = args.keyFiles?.[0];
  const isPlain = args.flags["no-encryption"] === true;
  if ((keyFile !== undefined) === isPlain) {
    throw usage("Give either --key-file <file> for a new or existing key, or --no-encryption");
  }
  if (keyFile !== undefined && !(await stat(keyFile).catch(() => undefined))) await createKeyFile(keyFile);
  const deps = await depsFor(location, args, true);
  const vault = await createVault(deps, {
    name: text(args, "name") ?? "vault",
    suite: isPlain ? "none" : "aes-256-gcm",
    chunkBytes: whole(args, "chunk-kib", 512) * 1024,
  });
  args.output.print(`Vault ${vault.record.name} (${vault.vaultId}) is ready at ${vault.archive.location}`);
  if (!isPlain) args.output.print(`Keep a copy of ${keyFile} elsewhere: without it nobody can restore anything.`);
  return 0;
}

async function backup(args: VaultArguments): Promise<number> {
  const vault = await openAt(argument(args, 0, "a vault"), args);
  const item = parseItemId(argument(args, 1, "an item"));
  const paths = args.positionals.slice(2);
  if (paths.length === 0) throw usage("Name at least one image");
  const changed = text(args, "changed");
  if (changed !== undefined && paths.length > 1) throw usage("--changed speaks of one image");
  const ranges = changed === undefined ? undefined : await readRanges(changed);
  const images = [];
  for (const path of paths) images.push(await openImage(path, ranges ? { changed: ranges } : {}));
  const line = new ProgressLine(args.output, "backing up");
  try {
    const disks = images.map((source, index) => ({ source, name: source.identity.diskUniqueId, lun: index - 1 }));
    const tags = listOf(args, "tag");
    const manifest = await backUp(vault, {
      item,
      disks,
      tags,
      onProgress: (done) => line.show(done.doneBytes, done.totalBytes),
    });
    line.end();
    const stored = manifest.disks.reduce((sum, disk) => sum + disk.stats.storedBytes, 0);
    const read = manifest.disks.reduce((sum, disk) => sum + disk.stats.readBytes, 0);
    args.output.print(`${manifest.transfer}  read ${bytesText(read)}, stored ${bytesText(stored)}`);
    return 0;
  } finally {
    line.end();
    for (const image of images) await image.close();
  }
}

async function readRanges(path: string): Promise<{ offset: number; length: number }[]> {
  const { readFile } = await import("node:fs/promises");
  const lines = (await readFile(path, "utf8")).split("\n").filter((line) => line.trim() !== "");
  return lines.map((line) => {
    const [offset, length] = line.trim().split(/\s+/).map(Number);
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length))
      throw usage(`${path}: "${line}" is no offset and length`);
    return { offset: offset as number, length: length as number };
  });
}

async function list(args: VaultArguments): Promise<number> {
  const vault = await openAt(argument(args, 0, "a vault"), args);
  const item = args.positionals[1];
  const rows: string[][] = [["ITEM", "POINT", "TIME", "DISKS", "SIZE", "STORED", "STATE"]];
  const points: ListedPoint[] = [];
  for await (const listed of listPoints(vault, item === undefined ? undefined : parseItemId(item))) points.push(listed);
  if (args.flags.json) {
    args.output.print(JSON.stringify(points.map(describe), null, 2));
    return 0;
  }
  for (const { manifest, state } of points) {
    const size = manifest.disks.reduce((sum, disk) => sum + disk.sizeBytes, 0);
    const stored = manifest.disks.reduce((sum, disk) => sum + disk.stats.storedBytes, 0);
    const condition = state?.deletedAt ? "deleted" : state?.hold ? "held" : "";
    rows.push([
      manifest.item,
      manifest.transfer,
      manifest.pointTime,
      String(manifest.disks.length),
      bytesText(size),
      bytesText(stored),
      condition,
    ]);
  }
  for (const line of table(rows)) args.output.print(line);
  return 0;
}

function describe({ manifest, digest, state }: ListedPoint) {
  return { ...manifest, digest, state: state ?? null };
}

async function show(args: VaultArguments): Promise<number> {
  const vault = await openAt(argument(args, 0, "a vault"), args);
  const listed = await chosenPoint(vault, args);
  if (args.flags.json) {
    args.output.print(JSON.stringify(describe(listed), null, 2));
    return 0;
  }
  const { manifest, state } = listed;
  args.output.print(`point        ${manifest.transfer} of ${manifest.item}, number ${manifest.sequence}`);
  args.output.print(`time         ${manifest.pointTime}, committed ${manifest.createdAt}`);
  args.output.print(
    `consistency  ${manifest.consistency}${manifest.consistencyReason && ` (${manifest.consistencyReason})`}`,
  );
  args.output.print(`builds on    ${manifest.parent?.transfer ?? "nothing"}`);
  if (state?.hold) args.output.print(`held         ${state.hold}`);
  if (state?.keepUntil) args.output.print(`kept until   ${state.keepUntil}`);
  if (state?.deletedAt) args.output.print(`deleted      ${state.deletedAt} (${state.deletedReason})`);
  for (const [index, disk] of manifest.disks.entries()) {
    const { stats } = disk;
    args.output.print(
      `disk ${index}       ${disk.name}, ${bytesText(disk.sizeBytes)}, chunks of ${bytesText(disk.chunkBytes)}`,
    );
    args.output.print(
      `             read ${bytesText(stats.readBytes)}, new ${bytesText(stats.newRawBytes)}, stored ${bytesText(stats.storedBytes)}`,
    );
    if (disk.unreadable.length > 0)
      args.output.print(`             ${disk.unreadable.length} ranges could not be read at the source`);
  }
  return 0;
}

async function verify(args: VaultArguments): Promise<number> {
  const vault = await openAt(argument(args, 0, "a vault"), args);
  const part = /^(\d+)\/(\d+)$/.exec(text(args, "part") ?? "");
  const share = part ? { part: Number(part[1]) - 1, parts: Number(part[2]) } : "all";
  const data: VerifyOptions["data"] = args.flags.structure ? "none" : share;
  const verified = await verifyVault(vault, { data, record: args.flags.record === true });
  if (args.flags.json) args.output.print(JSON.stringify(verified, null, 2));
  else {
    args.output.print(
      `${verified.points} points, ${verified.packs} packs; read ${verified.readPacks} (${bytesText(verified.readBytes)})`,
    );
    for (const finding of verified.findings) {
      args.output.print(`${finding.kind}  ${finding.object}: ${finding.message}`);
      for (const { point, disk, offset, length } of finding.affected) {
        args.output.print(`  ${point.item} ${point.transfer} disk ${disk}: ${length} bytes at ${offset}`);
      }
    }
    args.output.print(verified.findings.length === 0 ? "Nothing is wrong." : `${verified.findings.length} findings.`);
  }
  return verified.findings.length === 0 ? 0 : EXIT_FINDINGS;
}

function exportDisk(args: VaultArguments): Promise<number> {
  return restore({ ...args, flags: { format: "vhd", ...args.flags } });
}

async function restore(args: VaultArguments): Promise<number> {
  const vault = await openAt(argument(args, 0, "a vault"), args);
  const target = argument(args, 3, "a target file");
  const { manifest, point } = await chosenPoint(vault, args);
  const disk = chosenDisk(manifest, args);
  const format = (text(args, "format") ?? "raw") as ImageFormat;
  if (format !== "raw" && format !== "vhd") throw usage("--format is raw or vhd");
  const sink = await createImage(target, disk.sizeBytes, format);
  const line = new ProgressLine(args.output, "restoring");
  let doneBytes = 0;
  const run = () =>
    restoreDisk(vault, manifest, disk, sink, {
      zerosForUnreadable: args.flags["zeros-for-unreadable"] === true,
      onBytes: (bytes) => {
        doneBytes += bytes;
        line.show(doneBytes, disk.sizeBytes);
      },
    });
  const pin = pinFor(vault, "read", newTransferId(vault), null, [point], `restore to ${target}`);
  const restored = vault.isWritable ? await whilePinned(vault, pin, run) : await run();
  line.end();
  args.output.print(
    `${target}: ${bytesText(restored.sizeBytes)}, of which ${bytesText(restored.writtenBytes)} are not zeros`,
  );
  return 0;
}

async function diff(args: VaultArguments): Promise<number> {
  const vault = await openAt(argument(args, 0, "a vault"), args);
  const item = parseItemId(argument(args, 1, "an item"));
  const both = await Promise.all(
    [2, 3].map((index) => findPoint(vault, { item, transfer: parseTransferId(argument(args, index, "two points")) })),
  );
  const [before, after] = both.map(({ manifest }) => ({ manifest, disk: chosenDisk(manifest, args) }));
  if (!before || !after) throw usage("Name two points");
  for await (const { offset, length } of diffDisks(vault, before, after)) {
    args.output.print(args.flags.json ? JSON.stringify({ offset, length }) : `${offset} ${length}`);
  }
  return 0;
}

async function change(
  args: VaultArguments,
  apply: (vault: Vault, listed: ListedPoint, args: VaultArguments) => Promise<unknown>,
) {
  const vault = await openAt(argument(args, 0, "a vault"), args);
  const listed = await chosenPoint(vault, args);
  await apply(vault, listed, args);
  args.output.print(`${listed.manifest.transfer}: done`);
  return 0;
}

function deletion(vault: Vault, { point }: ListedPoint, args: VaultArguments) {
  return deletePoint(vault, point, { reason: "asked for at the command line", evenLast: args.flags.force === true });
}

function hold(vault: Vault, { point }: ListedPoint, args: VaultArguments) {
  return args.flags.release
    ? releaseHold(vault, point)
    : holdPoint(vault, point, text(args, "reason") ?? "held at the command line");
}

async function collectGarbage(args: VaultArguments): Promise<number> {
  const vault = await openAt(argument(args, 0, "a vault"), args);
  const isDry = args.flags["dry-run"] === true;
  const voided = isDry ? [] : await voidStaleTransfers(vault);
  const plan = isDry ? await planCollection(vault) : await collect(vault, { force: args.flags.force === true });
  if (args.flags.json) args.output.print(JSON.stringify({ ...plan, voided }, null, 2));
  else printPlan(args.output, plan, isDry);
  return 0;
}

/** Says "would" where nothing was done. */
function printPlan(output: Output, plan: CollectionPlan, isDry: boolean): void {
  const [drop, sweep] = isDry ? ["would remove", "would free"] : ["removed", "freed"];
  for (const { point, reason } of plan.drops)
    output.print(`${drop} point ${point.transfer} of ${point.item}: ${reason}`);
  for (const point of plan.pinned)
    output.print(`kept point ${point.transfer} of ${point.item}: something still uses it`);
  for (const item of plan.emptiedItems) output.print(`${item} has no point left then`);
  const share = `${plan.sweeps.length} of ${plan.packCount} packs`;
  output.print(
    `${sweep} ${bytesText(plan.freedBytes)} of ${bytesText(plan.packBytes)} (${share}), and ${plan.remains.length} leftovers`,
  );
}

async function adopt(args: VaultArguments): Promise<number> {
  const vault = await openAt(argument(args, 0, "a vault"), args);
  const { verification, voided } = await adoptVault(vault, { evenIfDamaged: args.flags.force === true });
  args.output.print(
    `Adopted: ${verification.points} points are whole, ${voided.length} unfinished transfers were given up.`,
  );
  return 0;
}

async function copy(args: VaultArguments): Promise<number> {
  const vault = await openAt(argument(args, 0, "a vault"), args);
  const target = await openStores(argument(args, 1, "a target"), args, true);
  const copied = await copyVault(vault, target);
  args.output.print(
    `Copied ${copied.points} points and ${copied.packs} packs (${bytesText(copied.bytes)}). Adopt the copy to write to it.`,
  );
  return 0;
}

async function rebuildCatalog(args: VaultArguments): Promise<number> {
  const vault = await openAt(argument(args, 0, "a vault"), args);
  for await (const listed of listPoints(vault)) args.output.print(JSON.stringify(describe(listed)));
  return 0;
}

async function chosenPoint(vault: Vault, args: VaultArguments): Promise<ListedPoint> {
  const item = parseItemId(argument(args, 1, "an item"));
  const name = argument(args, 2, "a point");
  if (name !== "latest") return findPoint(vault, { item, transfer: parseTransferId(name) });
  let latest: ListedPoint | undefined;
  for await (const listed of listPoints(vault, item)) if (!listed.state?.deletedAt) latest = listed;
  if (latest) return latest;
  throw new HoldfastFailure("not-found", "HoldfastPointNotFound", `There is no point of ${item}`);
}

function chosenDisk(manifest: Manifest, args: VaultArguments): ManifestDisk {
  const ordinal = whole(args, "disk", 0);
  const disk = manifest.disks[ordinal];
  if (disk) return disk;
  throw new HoldfastFailure(
    "not-found",
    "HoldfastDiskNotFound",
    `The point has ${manifest.disks.length} disks; there is no disk ${ordinal}`,
  );
}

function argument(args: VaultArguments, index: number, what: string): string {
  const value = args.positionals[index];
  if (value === undefined || value === "") throw usage(`Name ${what}`);
  return value;
}

function text(args: VaultArguments, flag: string): string | undefined {
  const value = args.flags[flag];
  return typeof value === "string" ? value : undefined;
}

function listOf(args: VaultArguments, flag: string): string[] {
  const value = args.flags[flag];
  return Array.isArray(value) ? value : [];
}

function whole(args: VaultArguments, flag: string, otherwise: number): number {
  const value = text(args, flag);
  if (value === undefined) return otherwise;
  if (!/^\d+$/.test(value)) throw usage(`--${flag} takes a whole number, not "${value}"`);
  return Number(value);
}

function usage(message: string): HoldfastFailure {
  return new HoldfastFailure("invalid", "HoldfastUsage", message, { hint: "`holdfast vault` lists the commands." });
}
