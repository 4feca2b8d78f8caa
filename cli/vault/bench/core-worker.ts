// One core at work for `holdfast vault bench`: how many bytes a second it names, compresses and encrypts, with the same
// primitives, and the same chunks, as a backup.

import { createCipheriv, createHmac, randomBytes } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { constants, zstdCompressSync } from "node:zlib";

export const CORE_WORK = ["hash", "compress", "encrypt"] as const;
export type CoreRates = Record<(typeof CORE_WORK)[number], number>;

export interface CoreTask {
  readonly chunkBytes: number;
  readonly level: number;
  readonly eachMs: number;
}

const UNIT_BYTES = 32;

/** Half of it comes again and again: it compresses to about half, as disks do. */
function sampleOf(sizeBytes: number): Buffer {
  const known = Array.from({ length: 64 }, () => randomBytes(UNIT_BYTES));
  const sample = randomBytes(sizeBytes);
  for (let offset = 0; offset < sizeBytes; offset += 2 * UNIT_BYTES) {
    sample.set(known[(sample[offset] as number) % 64] as Buffer, offset);
  }
  return sample;
}

function rateOf(bytes: number, eachMs: number, work: () => unknown): number {
  work();
  const start = performance.now();
  let done = 0;
  while (performance.now() - start < eachMs) {
    work();
    done += bytes;
  }
  return (done * 1000) / (performance.now() - start);
}

function measure({ chunkBytes, level, eachMs }: CoreTask): CoreRates {
  const [sample, key] = [sampleOf(chunkBytes), randomBytes(32)];
  const params = { [constants.ZSTD_c_compressionLevel]: level };
  return {
    hash: rateOf(chunkBytes, eachMs, () => createHmac("sha256", key).update(sample).digest()),
    compress: rateOf(chunkBytes, eachMs, () => zstdCompressSync(sample, { params, chunkSize: chunkBytes + 4096 })),
    encrypt: rateOf(chunkBytes, eachMs, () => {
      const cipher = createCipheriv("aes-256-gcm", key, randomBytes(12));
      cipher.update(sample);
      cipher.final();
    }),
  };
}

parentPort?.postMessage(measure(workerData));
