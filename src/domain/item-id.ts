// The name of an item inside a vault's storage: it must serve as a file name everywhere and stay the same whatever case a
// client writes the machine's id in, and people should recognise the machine in it.

import { createHash } from "node:crypto";
import { armIdKey, parseVmId } from "./arm-ids.ts";

/** 1-64 of a-z, 0-9 and inner hyphens, and no device name of an operating system. */
export type ItemId = string & { readonly brand: "ItemId" };

/** 80 bits: among 10,000 items, two alike are less likely than 1 in 10^16. */
const DIGEST_DIGITS = 20;
const MAX_LENGTH = 64;

export function isItemId(text: string): text is ItemId {
  return /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/.test(text) && !/^(?:con|prn|aux|nul|(?:com|lpt)[0-9])$/.test(text);
}

/** `<name>-<digest of the id>`. A machine that moves to another group has another id: Azure, too, calls it a new item. */
export function itemIdOf(vmId: string): ItemId {
  const digest = createHash("sha256").update(armIdKey(vmId)).digest("hex").slice(0, DIGEST_DIGITS);
  const readable = parseVmId(vmId)
    .name.toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replace(/^-+/, "")
    .slice(0, MAX_LENGTH - DIGEST_DIGITS - 1)
    .replace(/-+$/, "");
  return (readable === "" ? digest : `${readable}-${digest}`) as ItemId;
}
