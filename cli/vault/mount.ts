// `holdfast vault mount`: the disks of a point as NBD block devices, until it is stopped.

import { once } from "node:events";
import { access } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { HoldfastFailure } from "../../src/base/failure.ts";
import { DiskReader } from "../../src/vault/disk-reader.ts";
import type { ListedPoint } from "../../src/vault/list-points.ts";
import type { Vault } from "../../src/vault/open-vault.ts";
import { type Call, type Command, usage } from "../command-line.ts";
import { bytesText } from "../output.ts";
import { chosenDisk, chosenPoint, DISK_OPTION, POINT_DETAILS, whileReading } from "./choices.ts";
import { openNamed, SHARED_OPTIONS } from "./location.ts";
import type { Export } from "./nbd/negotiation.ts";
import { OverlayDevice } from "./nbd/overlay-device.ts";
import { PointDevice } from "./nbd/point-device.ts";
import { type Address, serveNbd } from "./nbd/server.ts";

const DEFAULT_PORT = 10_809;
const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|::1)$/;

export const mountCommand: Command = {
  name: "mount",
  summary: "Serves the disks of a point as NBD block devices, to look into or to boot from.",
  operands: ["vault", "item", "[point]"],
  options: {
    ...SHARED_OPTIONS,
    nbd: { value: "[host]:port", about: "Where to listen, or unix:<path>; default: :10809, this machine only" },
    disk: { ...DISK_OPTION, about: "Which disk is the one without a name; default: the first" },
    overlay: { about: "Let clients write; what they write is gone afterwards" },
    "overlay-folder": { value: "folder", about: "Where written blocks lie meanwhile; default: the temporary folder" },
    "zeros-for-unreadable": { about: "Zeros for what the source could not read, instead of errors" },
  },
  details:
    "Each disk is an export of its name. NBD has no password here: whoever reaches the address reads the disks, so only\n" +
    `this machine does unless a host is given. Ctrl-C ends it. ${POINT_DETAILS}`,
  examples: [
    "mount /backup/vault vm-1 latest --nbd :10809",
    "mount /backup/vault vm-1 --nbd unix:/run/vm-1.sock --overlay",
    "mount /backup/vault vm-1 &   # then: nbdinfo nbd://localhost, qemu-img convert nbd://localhost disk.img",
  ],
  run: mount,
};

async function mount(call: Call): Promise<number> {
  const [, item = "", pointText = "latest"] = call.operands;
  const address = addressOf(call.flags.text("nbd") ?? `:${DEFAULT_PORT}`);
  if (call.flags.has("overlay-folder") && !call.flags.has("overlay")) throw usage("--overlay-folder needs --overlay");
  if ("path" in address) await refuseNoFolder(address.path);
  const vault = await openNamed(call);
  const listed = await chosenPoint(vault, item, pointText);
  await whileReading(vault, listed, "mounted", () => serve(call, vault, listed, address), call.output);
  return 0;
}

async function serve(call: Call, vault: Vault, listed: ListedPoint, address: Address): Promise<void> {
  const { output, signal } = call;
  const overlays: OverlayDevice[] = [];
  try {
    const exports = await exportsOf(call, vault, listed, overlays);
    const told = new Set<string>();
    const onProblem = (message: string) => {
      // Clients ask for a bad block again and again.
      if (!told.has(message) && !signal.aborted) output.complain(`holdfast: ${message}`);
      if (told.size < 1_000) told.add(message);
    };
    const server = await serveNbd(exports, address, { onProblem });
    announce(call, listed, exports, server.uri, address);
    if (!signal.aborted) await once(signal, "abort");
    await server.close();
  } finally {
    for (const overlay of overlays) await overlay.close();
  }
}

/** The chosen disk first: it is also the export without a name. */
async function exportsOf(call: Call, vault: Vault, { manifest }: ListedPoint, overlays: OverlayDevice[]) {
  const { flags } = call;
  const { ordinal: first } = chosenDisk(manifest, call);
  const exports: Export[] = [];
  for (const [ordinal, disk] of manifest.disks.entries()) {
    const reader = new DiskReader(vault, manifest, disk, { zerosForUnreadable: flags.has("zeros-for-unreadable") });
    const point = new PointDevice(reader);
    const overlay = flags.has("overlay")
      ? await OverlayDevice.create(point, flags.text("overlay-folder") ?? tmpdir())
      : undefined;
    if (overlay) overlays.push(overlay);
    const description = `${manifest.item}, point ${manifest.transfer}, disk ${ordinal}`;
    const served = { name: disk.name, description, device: overlay ?? point };
    if (ordinal === first) exports.unshift(served);
    else exports.push(served);
  }
  return exports;
}

function announce(call: Call, { manifest }: ListedPoint, exports: readonly Export[], uri: string, address: Address) {
  const { flags, output } = call;
  if (flags.has("json")) {
    const disks = exports.map(({ name, device }) => ({ name, sizeBytes: device.sizeBytes }));
    output.print(JSON.stringify({ uri, item: manifest.item, point: manifest.transfer, disks }));
  } else {
    output.print(`Point ${manifest.transfer} of ${manifest.item} is at ${uri}, ${modeOf(call)}.`);
    for (const { name, device } of exports) output.print(`  ${name}  ${bytesText(device.sizeBytes)}`);
    output.print("Ctrl-C ends it.");
  }
  if ("host" in address && !LOOPBACK.test(address.host)) {
    output.complain(`holdfast: whoever reaches ${uri} can read these disks`);
  }
}

/** A socket in a folder that is not there fails as if it were forbidden. */
async function refuseNoFolder(path: string): Promise<void> {
  await access(dirname(path)).catch((cause) => {
    throw new HoldfastFailure("not-found", "HoldfastListen", `There is no folder for ${path}`, { cause });
  });
}

function modeOf({ flags }: Call): string {
  return flags.has("overlay") ? "writable until it ends" : "read-only";
}

function addressOf(text: string): Address {
  if (text.startsWith("unix:") && text.length > 5) return { path: text.slice(5) };
  const match = /^(?:\[([0-9a-f:]+)\]|([^:[\]]*)):(\d{1,5})$/i.exec(text) ?? /^()()(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) {
    throw usage(`--nbd is [host]:port or unix:<path>, not "${text}"`, "For this machine only: --nbd :10809");
  }
  return { host: match[1] || match[2] || "127.0.0.1", port };
}
