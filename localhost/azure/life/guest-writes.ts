// What the operating system in a machine does to the machine's disks, by hand: writing pages and trimming them, while the
// machine runs. Azure has no such interface; a test that wants to know which bytes are on a disk has no other way.
import { z } from "zod";
import type { World } from "../arm/world.ts";
import { conflict, invalid } from "../arm/world.ts";
import { asDisk } from "../compute/disk-model.ts";
import { PAGE_BYTES } from "../disks/page-map.ts";
import { type Answer, type Call, json } from "../http/call.ts";

const MAX_WRITE_BYTES = 4 * 1024 * 1024;
const pages = z.coerce.number().int().min(0).multipleOf(PAGE_BYTES);

/** `PUT guest-pages?disk=<id>&offset=<bytes>`: the body is what is written. */
export async function writeGuestPages(world: World, call: Call): Promise<Answer> {
  const chunks = await call.body(MAX_WRITE_BYTES);
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const { volume, offset } = placeOf(world, call, length);
  await world.disks.write(volume, offset, chunks);
  return json(200, { written: length });
}

/** `DELETE guest-pages?disk=<id>&offset=<bytes>&length=<bytes>`: zeros, and no longer allocated. */
export async function trimGuestPages(world: World, call: Call): Promise<Answer> {
  const length = positionOf(call, "length");
  const { volume, offset } = placeOf(world, call, length);
  await world.disks.clear(volume, offset, length);
  return json(200, { trimmed: length });
}

function placeOf(world: World, call: Call, length: number): { volume: number; offset: number } {
  const disk = asDisk(world.resources.get(call.query.get("disk") ?? ""));
  const vm = disk.managedBy === undefined ? undefined : world.resources.find(disk.managedBy);
  if (vm?.inner.power !== "running") throw conflict(`No running machine holds ${disk.id}.`);
  const offset = positionOf(call, "offset");
  const { sizeBytes } = world.disks.volume(disk.inner.volume);
  if (length === 0 || length % PAGE_BYTES !== 0 || offset + length > sizeBytes)
    throw invalid("length", `A guest writes whole pages of ${PAGE_BYTES} bytes inside its disk of ${sizeBytes}.`);
  return { volume: disk.inner.volume, offset };
}

function positionOf(call: Call, name: string): number {
  const parsed = pages.safeParse(call.query.get(name));
  if (parsed.success) return parsed.data;
  throw invalid(name, `${name} is a multiple of ${PAGE_BYTES}.`);
}
