// The content of a disk or a snapshot as anybody reads it: access granted by Resource Manager, bytes by SAS, and one digest
// for each block that is not all zeros. Two of the same digests are the same bytes.

import { createHash } from "node:crypto";
import { type ArmClient, patiently } from "./arm-client.ts";

export interface DiskDigest {
  readonly sizeBytes: number;
  /** By the number of the block. */
  readonly blocks: ReadonlyMap<number, string>;
}

const BLOCK_BYTES = 2 ** 20;
/** Azure puts one behind the bytes of every disk that is read by SAS. */
const FOOTER_BYTES = 512;
const READS_AT_ONCE = 4;
const GRANT_SECONDS = 3600;
const DISKS_API = "2024-03-02";
const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** `resourceId` names a disk, or a disk of a restore point. */
export async function digestByAccess(arm: ArmClient, resourceId: string): Promise<DiskDigest> {
  const grant = await arm.complete("POST", `${resourceId}/beginGetAccess`, DISKS_API, {
    access: "Read",
    durationInSeconds: GRANT_SECONDS,
  });
  try {
    return await digestDisk(grant.output?.accessSAS ?? grant.accessSAS);
  } finally {
    await arm.complete("POST", `${resourceId}/endGetAccess`, DISKS_API);
  }
}

export function firstDifference(one: DiskDigest, other: DiskDigest): string | undefined {
  if (one.sizeBytes !== other.sizeBytes) return `one has ${one.sizeBytes} bytes, the other ${other.sizeBytes}`;
  const numbers = [...new Set([...one.blocks.keys(), ...other.blocks.keys()])].toSorted((a, b) => a - b);
  const different = numbers.find((number) => one.blocks.get(number) !== other.blocks.get(number));
  return different === undefined ? undefined : `the ${BLOCK_BYTES} bytes at ${different * BLOCK_BYTES} differ`;
}

export const contentBytes = ({ blocks }: DiskDigest): number => blocks.size * BLOCK_BYTES;

async function digestDisk(sas: string): Promise<DiskDigest> {
  const head = await patiently(() => fetch(sas, { method: "HEAD" }));
  const sizeBytes = Number(head.headers.get("content-length")) - FOOTER_BYTES;
  const waiting = [...(await allocatedBlocks(sas, sizeBytes))];
  const blocks = new Map<number, string>();
  const work = async (): Promise<void> => {
    for (let number = waiting.pop(); number !== undefined; number = waiting.pop()) {
      const bytes = await readBlock(sas, number, sizeBytes);
      if (bytes.equals(ZEROS.subarray(0, bytes.length))) continue;
      blocks.set(number, createHash("sha256").update(bytes).digest("hex"));
    }
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, work));
  return { sizeBytes, blocks };
}

/** Pages that were never written read as zeros. */
async function allocatedBlocks(sas: string, sizeBytes: number): Promise<Set<number>> {
  const numbers = new Set<number>();
  let marker = "";
  do {
    const more = marker === "" ? "" : `&marker=${encodeURIComponent(marker)}`;
    const text = await (await patiently(() => fetch(`${sas}&comp=pagelist${more}`))).text();
    for (const [, start, end] of text.matchAll(/<PageRange>\s*<Start>(\d+)<\/Start>\s*<End>(\d+)<\/End>/g)) {
      const last = Math.min(Number(end), sizeBytes - 1);
      for (let at = Number(start); at <= last; at = (Math.floor(at / BLOCK_BYTES) + 1) * BLOCK_BYTES) {
        numbers.add(Math.floor(at / BLOCK_BYTES));
      }
    }
    marker = /<NextMarker>([^<]+)<\/NextMarker>/.exec(text)?.[1] ?? "";
  } while (marker !== "");
  return numbers;
}

async function readBlock(sas: string, number: number, sizeBytes: number): Promise<Buffer> {
  const start = number * BLOCK_BYTES;
  const end = Math.min(start + BLOCK_BYTES, sizeBytes) - 1;
  const response = await patiently(() => fetch(sas, { headers: { "x-ms-range": `bytes=${start}-${end}` } }));
  return Buffer.from(await response.arrayBuffer());
}
