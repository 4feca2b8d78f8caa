// Ids of invocations: unique, in the form of a GUID, and cheap, because activities take one each.

import { randomBytes } from "node:crypto";

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const POOL_BYTES = 4096;

let pool = Buffer.alloc(0);
let used = 0;

export function newInvocationId(): string {
  if (used + 16 > pool.length) {
    pool = randomBytes(POOL_BYTES);
    used = 0;
  }
  let id = "";
  for (let index = 0; index < 16; index++) {
    if (index === 4 || index === 6 || index === 8 || index === 10) id += "-";
    id += HEX[pool[used + index] as number];
  }
  used += 16;
  return id;
}
