import { describe, expect, it } from "vitest";
import { type Binding, openEnvelope, sealEnvelope } from "../../../../src/vault/format/envelope.ts";
import { VaultKey } from "../../../../src/vault/format/keys.ts";
import type { ItemId, KeyId } from "../../../../src/vault/format/names.ts";
import { ITEM, KEY_ID, NONCE, OTHER_TRANSFER, openKey, sealedKey, TRANSFER, VAULT_ID } from "./sample.ts";

const binding: Binding = { kind: "manifest", vaultId: VAULT_ID, item: ITEM, transfer: TRANSFER };
const payload = Buffer.from("what is sealed");

describe("An envelope", () => {
  for (const key of [sealedKey, openKey]) {
    it(`opens to what was sealed, in suite ${key.suite}`, () => {
      expect(openEnvelope(key, binding, sealEnvelope(key, binding, payload, NONCE))).toEqual(payload);
    });

    it(`opens only as what it was sealed as, in suite ${key.suite}`, () => {
      const sealed = sealEnvelope(key, binding, payload, NONCE);
      const others: Binding[] = [
        { ...binding, kind: "void" },
        { ...binding, kind: "leaf" },
        { ...binding, vaultId: "b".repeat(32) },
        { ...binding, item: "vm-2" as ItemId },
        { ...binding, item: null },
        { ...binding, transfer: OTHER_TRANSFER },
      ];
      for (const other of others) expect(() => openEnvelope(key, other, sealed)).toThrow();
    });

    it(`refuses a flipped bit anywhere and every truncation, in suite ${key.suite}`, () => {
      const sealed = sealEnvelope(key, binding, payload, NONCE);
      for (let position = 0; position < sealed.length; position++) {
        const damaged = Buffer.from(sealed);
        damaged[position] = (damaged[position] as number) ^ (1 << (position % 8));
        // The nonce of suite none has no meaning; everything else does.
        if (key.suite === "none" && position >= 24 && position < 36) continue;
        expect(() => openEnvelope(key, binding, damaged), `byte ${position}`).toThrow();
        expect(() => openEnvelope(key, binding, sealed.subarray(0, position)), `${position} bytes`).toThrow();
      }
      expect(() => openEnvelope(key, binding, Buffer.concat([sealed, Buffer.of(0)]))).toThrow();
    });
  }

  it("does not open without encryption for a reader who has a key", () => {
    const sealed = sealEnvelope(openKey, binding, payload, NONCE);
    expect(() => openEnvelope(sealedKey, binding, sealed)).toThrow(/suite/);
  });

  it("does not open under another data key", () => {
    const sealed = sealEnvelope(sealedKey, binding, payload, NONCE);
    expect(() => openEnvelope(new VaultKey(KEY_ID, "aes-256-gcm", Buffer.alloc(32, 2)), binding, sealed)).toThrow();
    const renamed = new VaultKey("d".repeat(32) as KeyId, "aes-256-gcm", Buffer.alloc(32, 1));
    expect(() => openEnvelope(renamed, binding, sealed)).toThrow(/key/);
  });
});
