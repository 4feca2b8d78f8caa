// The JSON values that several encodings share, as zod schemas: ids, instants, references. Strict everywhere: a field that
// this version does not know means another version, and is refused.

import { z } from "zod";
import { malformed } from "./binary.ts";
import { decodeJson } from "./canonical-json.ts";
import type { NodeRef } from "./index-node.ts";
import type { ItemId, KeyId, PackNumber, TransferId } from "./names.ts";

const branded = <T extends string>(pattern: RegExp) =>
  z.custom<T>((value) => typeof value === "string" && pattern.test(value), `does not match ${pattern}`);

export const transferId = branded<TransferId>(/^[0-9a-f]{32}$/);
export const packNumber = branded<PackNumber>(/^[0-9a-f]{16}$/);
export const keyId = branded<KeyId>(/^[0-9a-f]{32}$/);
export const itemId = branded<ItemId>(/^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/);
export const hexDigest = z.string().regex(/^[0-9a-f]{64}$/);
/** RFC 3339 in UTC with milliseconds, as `toISOString` writes it. */
export const instant = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
export const count = z.number().int().nonnegative();

export const nodeRef = z.strictObject({
  transfer: transferId,
  number: packNumber,
  offset: count,
  length: count,
  digest: hexDigest,
});

export function nodeRefToJson({ pack, offset, length, digest }: NodeRef) {
  return { transfer: pack.transfer, number: pack.number, offset, length, digest: digest.toString("hex") };
}

export function nodeRefFromJson(json: z.infer<typeof nodeRef>): NodeRef {
  const { transfer, number, offset, length, digest } = json;
  return { pack: { transfer, number }, offset, length, digest: Buffer.from(digest, "hex") };
}

export function parseJson<T extends z.ZodType>(schema: T, bytes: Uint8Array, what: string): z.infer<T> {
  return checkJson(schema, decodeJson(bytes, what), what);
}

export function checkJson<T extends z.ZodType>(schema: T, value: unknown, what: string): z.infer<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw malformed(what, `${issue?.path.join(".") || "it"}: ${issue?.message ?? "unexpected value"}`);
}
