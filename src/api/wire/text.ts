// Small pieces that bodies are made of.

import { z } from "zod";

/** What ends up in ids and keys of rows. */
export const text = z
  .string()
  .max(2048)
  .refine((value) => !/\p{Cc}/u.test(value), "holds a control character");

/** Longer ones do not exist, and would not fit into the key of a row. */
export const resourceId = text.max(400);

/** Clients leave out what they do not set, or send null. */
export function optional<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().transform((value) => value ?? undefined);
}

/** A word of a fixed list, in any case; answers it as the list spells it. */
export function oneOf<const Words extends readonly string[]>(words: Words) {
  return z.string().transform((value, context): Words[number] => {
    const found = words.find((word) => word.toLowerCase() === value.toLowerCase());
    if (found !== undefined) return found;
    context.addIssue({ code: "custom", message: `"${value.slice(0, 64)}" is none of ${words.join(", ")}` });
    return z.NEVER;
  });
}

/** What "not yet" looks like. */
export const NO_TIME = "0001-01-01T00:00:00";

const SHAPE = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,7})?)?(Z|[+-]\d\d:?\d\d)?$/i;

/** An instant as clients write it; without a zone it is UTC. */
export const time = z.string().transform((value, context): Date => {
  const match = SHAPE.exec(value);
  const parsed = match === null ? Number.NaN : Date.parse(match[3] === undefined ? `${value}Z` : value);
  if (!Number.isNaN(parsed)) return new Date(parsed);
  context.addIssue({ code: "custom", message: `"${value.slice(0, 64)}" is no time` });
  return z.NEVER;
});

/** ISO 8601, as clients insist on: `PT9M44.0179S`. */
export function renderDuration(durationMs: number): string {
  const ms = Math.max(0, Math.round(durationMs));
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor(ms / 60_000) % 60;
  const seconds = (ms % 60_000) / 1000;
  return `PT${hours > 0 ? `${hours}H` : ""}${minutes > 0 ? `${minutes}M` : ""}${seconds}S`;
}
