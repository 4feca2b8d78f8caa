// Values that tests of the format share: fixed keys, ids and nonces, so that bytes can be compared.

import { PUBLIC_KEY, VaultKey } from "../../../../src/vault/format/keys.ts";
import type { ItemId, KeyId, PackId, PackNumber, TransferId } from "../../../../src/vault/format/names.ts";

const hex = (digit: string, count: number) => digit.repeat(count);

export const VAULT_ID = hex("a", 32);
export const ITEM = "vm-1" as ItemId;
export const TRANSFER = hex("1", 32) as TransferId;
export const OTHER_TRANSFER = hex("2", 32) as TransferId;
export const KEY_ID = hex("c", 32) as KeyId;
export const NONCE = Buffer.alloc(12, 7);

export const sealedKey = new VaultKey(KEY_ID, "aes-256-gcm", Buffer.alloc(32, 1));
export const openKey = new VaultKey(KEY_ID, "none", PUBLIC_KEY);

export const packOf = (digit: string, transfer: TransferId = TRANSFER): PackId => ({
  transfer,
  number: hex(digit, 16) as PackNumber,
});
