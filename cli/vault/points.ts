// `holdfast vault ls|show|diff|rebuild-catalog|delete|undelete|hold`: looking at points, and deciding about their lives.

import { diffDisks } from "../../src/vault/diff-points.ts";
import { parseItemId } from "../../src/vault/format/names.ts";
import { type ListedPoint, listPoints } from "../../src/vault/list-points.ts";
import type { Vault } from "../../src/vault/open-vault.ts";
import { deletePoint, holdPoint, releaseHold, undeletePoint } from "../../src/vault/point-states.ts";
import { type Call, type Command, usage } from "../command-line.ts";
import { bytesText, type Output, table } from "../output.ts";
import { chosenDisk, chosenPoint, DISK_OPTION, POINT_DETAILS, refuseNoPoint } from "./choices.ts";
import { openNamed, SHARED_OPTIONS } from "./location.ts";

export const listCommand: Command = {
  name: "ls",
  summary: "Lists the points of a vault, or of one item.",
  operands: ["vault", "[item]"],
  options: SHARED_OPTIONS,
  examples: ["ls /backup/vault", "ls /backup/vault vm-1 --json"],
  run: list,
};

export const showCommand: Command = {
  name: "show",
  summary: "Shows all that is known of one point.",
  operands: ["vault", "item", "[point]"],
  options: SHARED_OPTIONS,
  details: POINT_DETAILS,
  examples: ["show /backup/vault vm-1", "show /backup/vault vm-1 44ee55 --json"],
  run: show,
};

export const diffCommand: Command = {
  name: "diff",
  summary: "Prints which ranges of a disk differ between two points, as `offset length`.",
  operands: ["vault", "item", "point", "point"],
  options: { ...SHARED_OPTIONS, disk: DISK_OPTION },
  details: `Ranges are whole chunks. ${POINT_DETAILS}`,
  examples: ["diff /backup/vault vm-1 44ee55 latest"],
  run: diff,
};

export const rebuildCatalogCommand: Command = {
  name: "rebuild-catalog",
  summary: "Prints every point as a line of JSON, from the vault's own objects alone.",
  operands: ["vault"],
  options: SHARED_OPTIONS,
  examples: ["rebuild-catalog /backup/vault > catalog.jsonl"],
  run: rebuildCatalog,
};

export const deleteCommand: Command = {
  name: "delete",
  summary: "Deletes a point; until gc comes after the soft-delete days, undelete brings it back.",
  operands: ["vault", "item", "point"],
  options: {
    ...SHARED_OPTIONS,
    reason: { value: "text", about: "Why" },
    force: { about: "Also the last point of the item" },
  },
  details: POINT_DETAILS,
  examples: ["delete /backup/vault vm-1 44ee55 --reason 'made by mistake'"],
  run: (call) =>
    change(call, "deleted", (vault, { point }) => {
      const reason = call.flags.text("reason") ?? "asked for at the command line";
      return deletePoint(vault, point, { reason, evenLast: call.flags.has("force") });
    }),
};

export const undeleteCommand: Command = {
  name: "undelete",
  summary: "Brings a deleted point back.",
  operands: ["vault", "item", "point"],
  options: SHARED_OPTIONS,
  details: POINT_DETAILS,
  examples: ["undelete /backup/vault vm-1 44ee55"],
  run: (call) => change(call, "back", (vault, { point }) => undeletePoint(vault, point)),
};

export const holdCommand: Command = {
  name: "hold",
  summary: "Keeps a point from being deleted, until --release.",
  operands: ["vault", "item", "point"],
  options: {
    ...SHARED_OPTIONS,
    reason: { value: "text", about: "Why" },
    release: { about: "Lets it go again" },
  },
  details: POINT_DETAILS,
  examples: ["hold /backup/vault vm-1 latest --reason 'case 4711'", "hold /backup/vault vm-1 latest --release"],
  run: (call) =>
    change(call, call.flags.has("release") ? "free" : "held", (vault, { point }) =>
      call.flags.has("release")
        ? releaseHold(vault, point)
        : holdPoint(vault, point, call.flags.text("reason") ?? "held at the command line"),
    ),
};

async function list(call: Call): Promise<number> {
  const itemText = call.operands[1];
  const item = itemText === undefined ? undefined : parseItemId(itemText);
  const vault = await openNamed(call);
  const rows: string[][] = [["ITEM", "POINT", "TIME", "DISKS", "SIZE", "STORED", "STATE"]];
  const points: ListedPoint[] = [];
  for await (const listed of listPoints(vault, item)) points.push(listed);
  if (item !== undefined && points.length === 0) await refuseNoPoint(vault, item);
  if (call.flags.has("json")) {
    call.output.print(JSON.stringify(points.map(describe), null, 2));
    return 0;
  }
  for (const { manifest, state } of points) {
    const sizeBytes = manifest.disks.reduce((sum, disk) => sum + disk.sizeBytes, 0);
    const storedBytes = manifest.disks.reduce((sum, disk) => sum + disk.stats.storedBytes, 0);
    rows.push([
      manifest.item,
      manifest.transfer,
      manifest.pointTime.replace("T", " ").replace(/\.\d+Z$/, "Z"),
      String(manifest.disks.length),
      bytesText(sizeBytes),
      bytesText(storedBytes),
      state?.deletedAt ? "deleted" : state?.hold ? "held" : "",
    ]);
  }
  if (points.length === 0) call.output.complain("There are no points.");
  else for (const line of table(rows)) call.output.print(line);
  return 0;
}

function describe({ manifest, digest, state }: ListedPoint) {
  return { ...manifest, digest, state: state ?? null };
}

async function show(call: Call): Promise<number> {
  const [, item = "", point = "latest"] = call.operands;
  const vault = await openNamed(call);
  const listed = await chosenPoint(vault, item, point);
  if (call.flags.has("json")) call.output.print(JSON.stringify(describe(listed), null, 2));
  else printPoint(call.output, listed);
  return 0;
}

function printPoint(output: Output, { manifest, state }: ListedPoint): void {
  const reason = manifest.consistencyReason && ` (${manifest.consistencyReason})`;
  output.print(`point        ${manifest.transfer} of ${manifest.item}, number ${manifest.sequence}`);
  output.print(`time         ${manifest.pointTime}, committed ${manifest.createdAt}`);
  output.print(`consistency  ${manifest.consistency}${reason}`);
  output.print(`builds on    ${manifest.parent?.transfer ?? "nothing"}`);
  if (manifest.tags.length > 0) output.print(`tags         ${manifest.tags.join(", ")}`);
  if (manifest.reason) output.print(`reason       ${manifest.reason}`);
  if (state?.hold) output.print(`held         ${state.hold}`);
  if (state?.keepUntil) output.print(`kept until   ${state.keepUntil}`);
  if (state?.deletedAt) output.print(`deleted      ${state.deletedAt} (${state.deletedReason})`);
  for (const [index, { name, sizeBytes, chunkBytes, stats, unreadable }] of manifest.disks.entries()) {
    const [size, chunk] = [bytesText(sizeBytes), bytesText(chunkBytes)];
    output.print(`${`disk ${index}`.padEnd(12)} ${name}, ${size}, chunks of ${chunk}`);
    const work = [`read ${bytesText(stats.readBytes)}`, `new ${bytesText(stats.newRawBytes)}`];
    output.print(`             ${work.join(", ")}, stored ${bytesText(stats.storedBytes)}`);
    if (unreadable.length > 0) output.print(`             ${unreadable.length} ranges could not be read at the source`);
  }
}

async function diff(call: Call): Promise<number> {
  const [, item = "", ...names] = call.operands;
  const vault = await openNamed(call);
  const [before, after] = await Promise.all(
    names.map(async (name) => {
      const { manifest } = await chosenPoint(vault, item, name);
      return { manifest, disk: chosenDisk(manifest, call).disk };
    }),
  );
  if (!before || !after) throw usage("diff needs two points");
  for await (const { offset, length } of diffDisks(vault, before, after)) {
    call.output.print(call.flags.has("json") ? JSON.stringify({ offset, length }) : `${offset} ${length}`);
  }
  return 0;
}

async function rebuildCatalog(call: Call): Promise<number> {
  const vault = await openNamed(call);
  for await (const listed of listPoints(vault)) call.output.print(JSON.stringify(describe(listed)));
  return 0;
}

async function change(call: Call, became: string, apply: (vault: Vault, listed: ListedPoint) => Promise<unknown>) {
  const [, item = "", point = ""] = call.operands;
  const vault = await openNamed(call);
  const listed = await chosenPoint(vault, item, point);
  await apply(vault, listed);
  const { transfer } = listed.manifest;
  if (call.flags.has("json")) call.output.print(JSON.stringify({ item, point: transfer, state: became }));
  else call.output.print(`Point ${transfer} of ${item} is ${became}.`);
  return 0;
}
