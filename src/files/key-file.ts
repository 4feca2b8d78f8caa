// A wrapping key in a local file: JSON that its owner keeps, and keeps a copy of. Whoever has it opens every vault that was
// made with it; without it, and without an escrow file, an encrypted vault is lost.

import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { z } from "zod";
import { HoldfastFailure, messageOf } from "../base/failure.ts";
import type { KeyWrapper, WrappedKey } from "../ports/key-wrapper.ts";

const KEY_BYTES = 32;
const isWholeKey = (text: string) => Buffer.from(text, "base64").length === KEY_BYTES;
const keyFile = z.strictObject({ holdfastKey: z.literal(1), id: z.string(), key: z.base64().refine(isWholeKey) });
const ALGORITHM = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Never overwrites: the file that is there may be the only key to something. */
export async function createKeyFile(path: string): Promise<KeyWrapper> {
  const content = {
    holdfastKey: 1,
    id: `file:${randomBytes(8).toString("hex")}`,
    key: randomBytes(KEY_BYTES).toString("base64"),
  };
  try {
    await writeFile(path, `${JSON.stringify(content, null, 2)}\n`, { flag: "wx", mode: 0o600 });
  } catch (cause) {
    throw new HoldfastFailure("conflict", "HoldfastKeyFile", `The key file cannot be made: ${messageOf(cause)}`, {
      cause,
    });
  }
  return openKeyFile(path);
}

export async function openKeyFile(path: string): Promise<KeyWrapper> {
  try {
    const { id, key } = keyFile.parse(JSON.parse(await readFile(path, "utf8")));
    return new FileKey(id, Buffer.from(key, "base64"));
  } catch (cause) {
    // What a parser says of the text may show the text, and with it the key.
    const why = cause instanceof Error && "code" in cause ? `: ${cause.code}` : "";
    throw new HoldfastFailure("denied", "HoldfastKeyFile", `${path} cannot be read as a key file${why}`, { cause });
  }
}

class FileKey implements KeyWrapper {
  readonly id: string;
  private readonly key: Buffer;

  constructor(id: string, key: Buffer) {
    this.id = id;
    this.key = key;
  }

  async wrap(plain: Uint8Array): Promise<WrappedKey> {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.key, nonce);
    const body = Buffer.concat([cipher.update(plain), cipher.final()]);
    const bytes = Buffer.concat([nonce, cipher.getAuthTag(), body]);
    return { wrapperId: this.id, version: "1", algorithm: ALGORITHM, bytes };
  }

  async unwrap({ algorithm, bytes }: WrappedKey): Promise<Uint8Array> {
    if (algorithm !== ALGORITHM) {
      throw new HoldfastFailure("denied", "HoldfastWrongKey", `A key file unwraps ${ALGORITHM}, not ${algorithm}`);
    }
    try {
      const options = { authTagLength: TAG_BYTES };
      const decipher = createDecipheriv(ALGORITHM, this.key, bytes.subarray(0, NONCE_BYTES), options);
      decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
    } catch (cause) {
      throw new HoldfastFailure("denied", "HoldfastWrongKey", "The key file is not the one that wrapped this key", {
        cause,
      });
    }
  }
}
