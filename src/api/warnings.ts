// Warnings about what was done all the same, as `Warning` headers of RFC 7234: clients that do not know them lose nothing.

/** 299 is "miscellaneous, persistent"; the dash stands for who warns. One value for each; none: no header. */
export function warningHeader(texts: readonly string[]): Readonly<Record<string, string>> {
  return texts.length === 0 ? {} : { Warning: texts.map((text) => `299 - ${quoted(text)}`).join(", ") };
}

/** Headers are ASCII. */
const quoted = (text: string): string =>
  `"${text.replaceAll(/[^\x20-\x7e]/g, "?").replaceAll(/["\\]/g, (special) => `\\${special}`)}"`;
