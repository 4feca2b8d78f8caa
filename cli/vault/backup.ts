// `holdfast vault backup`: image files as the disks of one new point. A backup that was stopped can be taken up again where
// it was, by a token that names the transfer and tells whether the images are still the same.

import { createHash } from "node:crypto";
import { readFile, realpath, stat } from "node:fs/promises";
import { HoldfastFailure } from "../../src/base/failure.ts";
import { openImage } from "../../src/files/image-disk.ts";
import type { ByteRange } from "../../src/ports/object-store.ts";
import type { Manifest } from "../../src/vault/format/manifest.ts";
import { type ItemId, parseItemId, parseTransferId, type TransferId } from "../../src/vault/format/names.ts";
import { requireWritable, type Vault } from "../../src/vault/open-vault.ts";
import { abandonTransfer } from "../../src/vault/points.ts";
import { type Backup, newTransferId, runBackup } from "../../src/vault/transfer.ts";
import { type Call, type Command, usage } from "../command-line.ts";
import { bytesText, EXIT_FINDINGS } from "../output.ts";
import { Progress } from "../progress.ts";
import { stoppableSource } from "./interruption.ts";
import { openNamed, SHARED_OPTIONS } from "./location.ts";

export const backupCommand: Command = {
  name: "backup",
  summary: "Backs up image files, raw or fixed VHD, as one point of an item.",
  operands: ["vault", "item", "image..."],
  options: {
    ...SHARED_OPTIONS,
    tag: { value: "text", isRepeatable: true, about: "A word that the point carries" },
    reason: { value: "text", about: "Why this backup was made" },
    relative: { value: "item", about: "Another item that may hold the same blocks, for a first backup" },
    changed: { value: "file", about: "Lines of `offset length`: all that changed since the last backup" },
    resume: { value: "token", about: "Goes on with a backup that was stopped" },
  },
  details:
    "An image is <path> or <name>=<path>; the name tells the disk from others across backups, and is the file's name\n" +
    "unless given. Nobody may write to the images meanwhile: exit code 1 says that somebody did. With --changed, what the file leaves out is not backed up.",
  examples: [
    "backup /backup/vault vm-1 disk.img --key-file key.json",
    "backup /backup/vault vm-1 os=/snap/os.vhd data=/snap/data.img --tag weekly",
    "backup /backup/vault vm-1 disk.img --resume 0199f1c2a0b4aa11bb22cc33dd44ee55-1f2e3d4c",
  ],
  run: backUpImages,
};

interface Image {
  readonly name: string;
  readonly path: string;
}

type OpenImage = Awaited<ReturnType<typeof openImage>>;

async function backUpImages(call: Call): Promise<number> {
  const { operands, flags, output, signal } = call;
  const [, itemText = "", ...paths] = operands;
  const item = parseItemId(itemText);
  const images = await Promise.all(paths.map(imageOf));
  refuseTwins(images);
  const changed = await changedRanges(call, images.length);
  const vault = await openNamed(call);
  requireWritable(vault);
  const sources: OpenImage[] = [];
  const progress = new Progress(output, "backing up");
  try {
    for (const { name, path } of images) {
      sources.push(await openImage(path, { diskId: name, ...(changed ? { changed } : {}) }));
    }
    const fingerprint = await fingerprintOf(item, images);
    const transfer = transferOf(call, vault, fingerprint);
    const relative = flags.text("relative");
    const backup: Backup = {
      item,
      disks: sources.map((source, index) => ({
        source: stoppableSource(source, signal),
        name: source.identity.diskUniqueId,
        lun: index - 1,
      })),
      tags: flags.list("tag"),
      reason: flags.text("reason") ?? "",
      ...(relative === undefined ? {} : { relative: parseItemId(relative) }),
      onProgress: ({ doneBytes, totalBytes }) => progress.show(doneBytes, totalBytes),
    };
    const manifest = await runOrSayHow(vault, backup, transfer, `${transfer}-${fingerprint}`);
    progress.end();
    report(call, manifest);
    const complaints = manifest.disks
      .filter(({ unreadable }) => unreadable.length > 0)
      .map(({ name, unreadable }) => `${unreadable.length} ranges of ${name} could not be read and are missing`);
    if ((await fingerprintOf(item, images)) !== fingerprint) {
      complaints.push(`an image changed while it was read; point ${transfer} may mix old and new`);
    }
    for (const complaint of complaints) output.complain(`holdfast: ${complaint}`);
    return complaints.length === 0 ? 0 : EXIT_FINDINGS;
  } finally {
    progress.end();
    for (const source of sources) await source.close();
  }
}

/** What another attempt can mend may be resumed; anything else is given up cleanly, so that the collector can come. */
async function runOrSayHow(vault: Vault, backup: Backup, transfer: TransferId, token: string): Promise<Manifest> {
  try {
    return await runBackup(vault, backup, transfer);
  } catch (cause) {
    if (cause instanceof HoldfastFailure && ["cancelled", "unavailable", "throttled"].includes(cause.kind)) {
      throw new HoldfastFailure(cause.kind, cause.code, `${cause.message}; the vault is whole, no point was made`, {
        hint: `Go on where it stopped: the same command with --resume ${token}`,
        cause,
      });
    }
    const point = { item: backup.item, transfer };
    const outcome = await abandonTransfer(vault, point, "the backup failed").catch(() => undefined);
    if (outcome === "committed") return runBackup(vault, backup, transfer);
    throw cause;
  }
}

function transferOf({ flags }: Call, vault: Vault, fingerprint: string): TransferId {
  const token = flags.text("resume");
  if (token === undefined) return newTransferId(vault);
  const [, transfer = "", stoppedWith] = /^([0-9a-f]{32})-([0-9a-f]{8})$/.exec(token) ?? [];
  if (stoppedWith === undefined) throw usage("--resume takes the token that the stopped backup printed");
  if (stoppedWith === fingerprint) return parseTransferId(transfer);
  throw new HoldfastFailure("conflict", "HoldfastImageChanged", "These are not the images that the backup began with", {
    hint: "An image changed since, or another one was named. Back up anew, without --resume.",
  });
}

/** Tells images apart, and an image from itself after a change. */
async function fingerprintOf(item: ItemId, images: readonly Image[]): Promise<string> {
  const hash = createHash("sha256").update(item);
  for (const { name, path } of images) {
    const { dev, ino, size, mtimeNs } = await stat(path, { bigint: true });
    hash.update(JSON.stringify([name, await realpath(path), ...[dev, ino, size, mtimeNs].map(String)]));
  }
  return hash.digest("hex").slice(0, 8);
}

async function imageOf(text: string): Promise<Image> {
  const named = /^([A-Za-z0-9][A-Za-z0-9._-]*)=(.+)$/.exec(text);
  const isPath = named === null || (await stat(text).catch(() => undefined)) !== undefined;
  const path = isPath ? text : (named[2] as string);
  return { path, name: isPath ? (path.split(/[/\\]/).at(-1) as string) : (named?.[1] as string) };
}

function refuseTwins(images: readonly Image[]): void {
  const twin = images.find(({ name }, index) => images.findIndex((other) => other.name === name) !== index);
  if (twin) throw usage(`Two images are named ${twin.name}`, "Name them apart: os=<path> data=<path>.");
}

async function changedRanges({ flags }: Call, imageCount: number): Promise<ByteRange[] | undefined> {
  const file = flags.text("changed");
  if (file === undefined) return undefined;
  if (imageCount > 1) throw usage("--changed speaks of one image");
  const text = await readFile(file, "utf8").catch((cause) => {
    throw new HoldfastFailure("not-found", "HoldfastChangedFile", `${file} cannot be read`, { cause });
  });
  return text.split("\n").flatMap((line, index) => {
    if (line.trim() === "") return [];
    const [, offset, length] = /^\s*(\d{1,15})\s+(\d{1,15})\s*$/.exec(line) ?? [];
    if (length === undefined) throw usage(`Line ${index + 1} of ${file} is no offset and length`);
    return [{ offset: Number(offset), length: Number(length) }];
  });
}

function report({ flags, output }: Call, manifest: Manifest): void {
  const sum = (pick: (stats: Manifest["disks"][number]["stats"]) => number) =>
    manifest.disks.reduce((total, { stats }) => total + pick(stats), 0);
  const [readBytes, newBytes, storedBytes] = [
    sum((stats) => stats.readBytes),
    sum((stats) => stats.newRawBytes),
    sum((stats) => stats.storedBytes),
  ];
  const { item, transfer, sequence } = manifest;
  if (flags.has("json")) {
    output.print(JSON.stringify({ item, point: transfer, sequence, readBytes, newBytes, storedBytes }, null, 2));
  } else {
    output.print(
      `${transfer}  read ${bytesText(readBytes)}, new ${bytesText(newBytes)}, stored ${bytesText(storedBytes)}`,
    );
  }
}
