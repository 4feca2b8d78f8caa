// What is written on generated disks: bytes that look like a real system to compression and deduplication (text, tables,
// programs, already compressed media), reachable at any offset, and the same on every machine.
// Content is cut from a small corpus made once from a fixed seed; each 4 KiB block carries a stamp of its own, so no two
// blocks of different disks are equal by accident. Pure integer arithmetic: no clock, no Math.random, no floats.
import { assert } from "../../../src/base/assert.ts";
import { type Extent, MAX_PAGES, PAGE_BYTES } from "./page-map.ts";

const BLOCK_BYTES = 4096;
/** Neighbouring blocks are of one kind, as the blocks of one file are. */
const STRETCH_BLOCKS = 32;
const CORPUS_BYTES = 2 * 1024 * 1024;
const STAMP_AT = 8;

/** A well-mixed 32-bit number from two others. */
export function mix(a: number, b: number): number {
  let h = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b ^ (a >>> 15), 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A repeatable sequence of 32-bit numbers. */
export function sequence(seed: number): () => number {
  let state = mix(seed, 0x5eed) || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

export function seedOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return mix(hash, text.length);
}

/** Fills `target` with the content that `seed` has from byte `position` on. */
export function fillGenerated(target: Uint8Array, seed: number, position: number): void {
  const corpora = corpus();
  let done = 0;
  while (done < target.length) {
    const at = position + done;
    const block = Math.floor(at / BLOCK_BYTES);
    const within = at % BLOCK_BYTES;
    const take = Math.min(BLOCK_BYTES - within, target.length - done);
    const kind = corpora[kindOf(mix(seed, Math.floor(block / STRETCH_BLOCKS)))] as Buffer;
    const from = (mix(seed ^ 0x1234567, block) % ((CORPUS_BYTES - BLOCK_BYTES) / 64)) * 64;
    target.set(kind.subarray(from + within, from + within + take), done);
    stamp(target, done - within, within, take, seed, block);
    done += take;
  }
}

/** Where a generated disk of this size has data: runs of 64 KiB to 4 MiB, denser at its beginning, as file systems are. */
export function generatedExtents(seed: number, source: number, sizeBytes: number, allocatedBytes: number): Extent[] {
  const sizePages = sizeBytes / PAGE_BYTES;
  assert(Number.isInteger(sizePages) && sizePages <= MAX_PAGES, "A generated disk is made of whole pages up to 32 TiB");
  const next = sequence(seed);
  const extents: Extent[] = [];
  let left = Math.min(allocatedBytes, sizeBytes) / PAGE_BYTES;
  let position = 0;
  while (left > 0 && position < sizePages) {
    const run = Math.min(left, sizePages - position, 128 << (next() % 7));
    extents.push({ start: position, end: position + run, source, at: position });
    left -= run;
    const room = sizePages - position - run - left;
    const gap = room <= 0 ? 0 : Math.min(room, (next() % 8) * 128 + (next() % 16 === 0 ? Math.floor(room / 16) : 0));
    position += run + gap;
  }
  return extents;
}

function stamp(target: Uint8Array, blockAt: number, within: number, take: number, seed: number, block: number): void {
  for (let index = 0; index < 8; index += 1) {
    const offset = STAMP_AT + index;
    if (offset < within || offset >= within + take) continue;
    const word = index < 4 ? seed : mix(seed, block);
    target[blockAt + offset] = (word >>> ((index % 4) * 8)) & 0xff;
  }
}

/** Of ten stretches: four of text, three of tables, two of programs, one that does not compress. */
function kindOf(draw: number): number {
  const tenth = draw % 10;
  if (tenth < 4) return 0;
  if (tenth < 7) return 1;
  return tenth < 9 ? 2 : 3;
}

let made: readonly Buffer[] | undefined;

function corpus(): readonly Buffer[] {
  made ??= [textCorpus(1), tableCorpus(2), programCorpus(3), noiseCorpus(4)];
  return made;
}

const WORDS = (
  "info warn error request served client cache miss hit GET POST 200 304 404 500 /index.html /api/orders /static/app.js " +
  "user session token expires queue worker retry connection closed timeout upstream database query rows committed the a of " +
  "and to in is that for it as was with be by on not he his but at are this have from or had an they which one you were"
).split(" ");

function textCorpus(seed: number): Buffer {
  const next = sequence(seed);
  const text: string[] = [];
  let length = 0;
  while (length < CORPUS_BYTES) {
    const words = Array.from({ length: 6 + (next() % 14) }, () => WORDS[next() % WORDS.length]);
    const line = `2026-0${1 + (next() % 9)}-1${next() % 10}T0${next() % 10}:${10 + (next() % 50)}:${10 + (next() % 50)}.${next() % 1000} [${next() % 65536}] ${words.join(" ")} ${next().toString(16)}\n`;
    text.push(line);
    length += line.length;
  }
  return Buffer.from(text.join(""), "latin1").subarray(0, CORPUS_BYTES);
}

function tableCorpus(seed: number): Buffer {
  const next = sequence(seed);
  const bytes = Buffer.alloc(CORPUS_BYTES);
  for (let at = 0; at + 64 <= CORPUS_BYTES; at += 64) {
    bytes.writeUInt32LE(at / 64, at);
    bytes.writeUInt32LE(next(), at + 4);
    bytes.writeUInt16LE(next() % 1000, at + 8);
    bytes.write(`${WORDS[next() % WORDS.length]}-${next() % 10000}`, at + 16, "latin1");
    bytes.writeUInt32LE(next() % 100_000, at + 48);
  }
  return bytes;
}

function programCorpus(seed: number): Buffer {
  const next = sequence(seed);
  const phrases = Array.from({ length: 512 }, () =>
    Buffer.from(Array.from({ length: 3 + (next() % 9) }, () => next())),
  );
  const bytes = Buffer.alloc(CORPUS_BYTES);
  let at = 0;
  while (at < CORPUS_BYTES - 16) {
    const phrase = phrases[(next() % 512) & (next() % 512)] as Buffer;
    at += phrase.copy(bytes, at);
    if (next() % 4 === 0) bytes[at++] = next();
  }
  return bytes;
}

function noiseCorpus(seed: number): Buffer {
  const next = sequence(seed);
  const bytes = Buffer.alloc(CORPUS_BYTES);
  for (let at = 0; at < CORPUS_BYTES; at += 4) bytes.writeUInt32LE(next(), at);
  return bytes;
}
