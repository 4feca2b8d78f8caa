// `holdfast vault init`: a new vault and, unless told otherwise, the key without which nobody reads it.

import { stat } from "node:fs/promises";
import { createKeyFile, openKeyFile } from "../../src/files/key-file.ts";
import { DEFAULT_CHUNK_BYTES } from "../../src/vault/format/tree-shape.ts";
import { rewrapKeys } from "../../src/vault/key-ring.ts";
import { createVault } from "../../src/vault/open-vault.ts";
import { type Call, type Command, usage } from "../command-line.ts";
import { depsOf, keyFilesOf, SHARED_OPTIONS } from "./location.ts";

export const initCommand: Command = {
  name: "init",
  summary: "Makes a new vault.",
  operands: ["vault"],
  options: {
    ...SHARED_OPTIONS,
    name: { value: "text", about: "What people call it; default: vault" },
    "no-encryption": { about: "Knowingly without a key: whoever reads the store reads the disks" },
    "escrow-file": { value: "file", about: "A second new key that opens the vault too; keep it elsewhere" },
    "chunk-size": { value: "bytes", about: "64K to 8M, a power of two; default: 512K" },
    "chunk-kib": { value: "n", about: "The same, in KiB" },
    level: { value: "n", about: "Level of zstd, 1 to 19; default: 3" },
    "soft-delete-days": { value: "n", about: "How long deleted points can come back; default: 14" },
  },
  details:
    "The key file is made if it is not there yet. Without it, and without an escrow file, nothing can be restored.",
  examples: [
    "init /backup/vault --key-file ~/vault-key.json --escrow-file /media/usb/escrow.json",
    'init prod --connection-string "$CONNECTION" --key-file key.json',
    'init "https://account.blob.core.windows.net/v-prod?$SAS" --key-file key.json',
  ],
  run: init,
};

async function init(call: Call): Promise<number> {
  const { operands, flags, output } = call;
  const [location = ""] = operands;
  const isPlain = flags.has("no-encryption");
  const [keyFile, ...others] = keyFilesOf(call);
  if (isPlain === (keyFile !== undefined) || others.length > 0) {
    throw usage("Give either one --key-file, for a new or an existing key, or --no-encryption");
  }
  const escrowFile = flags.text("escrow-file");
  if (escrowFile !== undefined && isPlain) throw usage("A vault without encryption has no key to put into escrow");
  const wanted = {
    name: flags.text("name") ?? "vault",
    suite: isPlain ? ("none" as const) : ("aes-256-gcm" as const),
    chunkBytes: flags.bytes("chunk-size", flags.whole("chunk-kib", DEFAULT_CHUNK_BYTES / 1024) * 1024),
    compressionLevel: levelOf(call),
    softDeleteDays: flags.whole("soft-delete-days", 14),
  };
  if (keyFile !== undefined && !(await stat(keyFile).catch(() => undefined))) await createKeyFile(keyFile);
  const deps = await depsOf(call, location, "create");
  const vault = await createVault(deps, wanted);
  if (escrowFile !== undefined) {
    await createKeyFile(escrowFile);
    await rewrapKeys({ ...deps, wrappers: [await openKeyFile(escrowFile), ...deps.wrappers] });
  }
  const { name, vaultId } = { ...vault.record, vaultId: vault.vaultId };
  if (flags.has("json")) {
    output.print(JSON.stringify({ vaultId, name, locations: vault.record.locations, suite: wanted.suite }, null, 2));
    return 0;
  }
  output.print(`Vault ${name} (${vaultId}) is ready at ${location.split("?")[0]}`);
  if (!isPlain) output.print(`Keep a copy of ${keyFile} elsewhere: without it nobody can restore anything.`);
  if (escrowFile !== undefined) output.print(`${escrowFile} opens it too: keep it apart from the first.`);
  return 0;
}

function levelOf({ flags }: Call): number {
  const level = flags.whole("level", 3);
  if (level >= 1 && level <= 19) return level;
  throw usage("--level is 1 to 19");
}
