// `holdfast vault restore|export`: a disk of a point, or all of them, as image files, or as a stream to standard output.

import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { HoldfastFailure, messageOf } from "../../src/base/failure.ts";
import { fixedVhdFooter } from "../../src/base/vhd-footer.ts";
import { createImage, type ImageFormat } from "../../src/files/image-disk.ts";
import { DiskReader } from "../../src/vault/disk-reader.ts";
import type { Manifest, ManifestDisk } from "../../src/vault/format/manifest.ts";
import type { ListedPoint } from "../../src/vault/list-points.ts";
import type { Vault } from "../../src/vault/open-vault.ts";
import { readPointPacks } from "../../src/vault/points.ts";
import { restoreDisk } from "../../src/vault/restore-disk.ts";
import { type Call, type Command, type Option, usage } from "../command-line.ts";
import { bytesText } from "../output.ts";
import { Progress } from "../progress.ts";
import { chosenDisk, chosenPoint, DISK_OPTION, POINT_DETAILS, whileReading } from "./choices.ts";
import { refuseIfStopped } from "./interruption.ts";
import { openNamed, SHARED_OPTIONS } from "./location.ts";

const STREAM_BYTES = 1024 * 1024;

const OPTIONS: Readonly<Record<string, Option>> = {
  ...SHARED_OPTIONS,
  disk: DISK_OPTION,
  "all-disks": { about: "Every disk of the point: the target is a folder then" },
  force: { about: "Replace a file that exists, once the new one is whole" },
  "zeros-for-unreadable": { about: "Zeros for what the source could not read, instead of failing" },
};

const DETAILS =
  "The file is sparse, and stands as <target>.partial until it is whole. With - as its target the disk goes to standard\n" +
  `output, in order. ${POINT_DETAILS}`;

export const restoreCommand: Command = {
  name: "restore",
  summary: "Writes a disk of a point to an image file, raw unless told.",
  operands: ["vault", "item", "point", "target"],
  options: { ...OPTIONS, format: { value: "raw|vhd", about: "Default: raw" } },
  details: DETAILS,
  examples: [
    "restore /backup/vault vm-1 latest disk.img",
    "restore /backup/vault vm-1 latest restored/ --all-disks",
    "restore /backup/vault vm-1 44ee55 - | zstd > disk.img.zst",
  ],
  run: (call) => restore(call, "raw"),
};

export const exportCommand: Command = {
  name: "export",
  summary: "Writes a disk of a point as a fixed VHD that Azure takes, unless told otherwise.",
  operands: ["vault", "item", "point", "target"],
  options: { ...OPTIONS, format: { value: "raw|vhd", about: "Default: vhd" } },
  details: DETAILS,
  examples: ["export /backup/vault vm-1 latest disk.vhd", "export /backup/vault vm-1 latest data.vhd --disk data"],
  run: (call) => restore(call, "vhd"),
};

async function restore(call: Call, usualFormat: ImageFormat): Promise<number> {
  const [, item = "", pointText = "", target = ""] = call.operands;
  const format = call.flags.oneOf("format", ["raw", "vhd"], usualFormat);
  const isAll = call.flags.has("all-disks");
  if (isAll && (target === "-" || call.flags.has("disk"))) {
    throw usage("--all-disks takes a folder as its target, and no --disk");
  }
  if (target === "-" && process.stdout.isTTY)
    throw usage("A terminal is no place for a disk", "Pipe it, or name a file.");
  const vault = await openNamed(call);
  const listed = await chosenPoint(vault, item, pointText);
  const work = async () => {
    if (target === "-") await streamDisk(call, vault, listed.manifest, chosenDisk(listed.manifest, call).disk, format);
    else if (isAll) await restoreAll(call, vault, listed, target, format);
    else await restoreOne(call, vault, listed, chosenDisk(listed.manifest, call), target, format);
  };
  await whileReading(vault, listed, `restore to ${target}`, work, call.output);
  return 0;
}

async function restoreAll(call: Call, vault: Vault, listed: ListedPoint, folder: string, format: ImageFormat) {
  await mkdir(folder, { recursive: true }).catch((cause) => {
    throw new HoldfastFailure("conflict", "HoldfastNotAFolder", `${folder}: ${messageOf(cause)}`, {
      hint: "With --all-disks the target is a folder.",
      cause,
    });
  });
  for (const [ordinal, disk] of listed.manifest.disks.entries()) {
    const name = disk.name.replace(/\.(?:img|raw|vhd)$/i, "").replaceAll(/[^\w.-]/g, "_");
    const path = join(folder, `${ordinal}-${name}.${format === "vhd" ? "vhd" : "img"}`);
    await restoreOne(call, vault, listed, { disk, ordinal }, path, format);
  }
}

async function restoreOne(
  call: Call,
  vault: Vault,
  { manifest, point }: ListedPoint,
  { disk, ordinal }: { readonly disk: ManifestDisk; readonly ordinal: number },
  path: string,
  format: ImageFormat,
): Promise<void> {
  const { flags, output } = call;
  const progress = new Progress(output, `restoring ${disk.name}`);
  const counts = (await readPointPacks(vault, point))[ordinal];
  const entries = counts === undefined ? 0 : [...counts.list()].reduce((sum, { count }) => sum + count, 0);
  const totalBytes = Math.min(disk.sizeBytes, entries * disk.chunkBytes);
  const sink = await createImage(path, disk.sizeBytes, format, { replace: flags.has("force") });
  let doneBytes = 0;
  const restored = await restoreDisk(vault, manifest, disk, sink, {
    zerosForUnreadable: flags.has("zeros-for-unreadable"),
    onBytes: (bytes) => {
      doneBytes += bytes;
      progress.show(doneBytes, totalBytes);
    },
  }).finally(() => progress.end());
  const { sizeBytes, writtenBytes } = restored;
  if (flags.has("json")) output.print(JSON.stringify({ path, disk: disk.name, format, sizeBytes, writtenBytes }));
  else output.print(`${path}: ${bytesText(sizeBytes)}, of which ${bytesText(writtenBytes)} are not zeros`);
}

/** In order, so a pipe can take it; each byte is verified before it goes out. */
async function streamDisk(call: Call, vault: Vault, manifest: Manifest, disk: ManifestDisk, format: ImageFormat) {
  const reader = new DiskReader(vault, manifest, disk, {
    zerosForUnreadable: call.flags.has("zeros-for-unreadable"),
  });
  const progress = new Progress(call.output, `exporting ${disk.name}`);
  try {
    for (let offset = 0; offset < disk.sizeBytes; offset += STREAM_BYTES) {
      refuseIfStopped(call.signal);
      const length = Math.min(STREAM_BYTES, disk.sizeBytes - offset);
      await writeTo(process.stdout, await reader.read({ offset, length }));
      progress.show(offset + length, disk.sizeBytes);
    }
    if (format === "vhd") {
      await writeTo(process.stdout, fixedVhdFooter(disk.sizeBytes, vault.random.bytes(16), new Date()));
    }
  } finally {
    progress.end();
  }
}

async function writeTo(stream: Writable, bytes: Uint8Array): Promise<void> {
  if (!stream.write(bytes)) await once(stream, "drain");
}
