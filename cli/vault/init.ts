// `holdfast vault init`: a new vault and, unless told otherwise, the key without which nobody reads it.

import type { KeyWrapper } from "../../src/ports/key-wrapper.ts";
import { DEFAULT_CHUNK_BYTES, isChunkSize } from "../../src/vault/format/tree-shape.ts";
import { createVault, refuseIfPresent } from "../../src/vault/open-vault.ts";
import { type Call, type Command, usage } from "../command-line.ts";
import { givenKeys, openInKeyVault, openOrCreateKeyFile, refuseKeyFile } from "./keys.ts";
import { openStores, outside, SHARED_OPTIONS } from "./location.ts";

export const initCommand: Command = {
  name: "init",
  summary: "Makes a new vault.",
  operands: ["vault"],
  options: {
    ...SHARED_OPTIONS,
    name: { value: "text", about: "What people call it; default: vault" },
    "no-encryption": { about: "Knowingly without a key: whoever reads the store reads the disks" },
    force: { about: "Even with a key in Key Vault that has no purge protection" },
    "escrow-file": { value: "file", about: "A second new key that opens the vault too; keep it elsewhere" },
    "chunk-size": { value: "bytes", about: "64K to 8M, a power of two; default: 512K" },
    "chunk-kib": { value: "n", about: "The same, in KiB" },
    level: { value: "n", about: "Level of zstd, 1 to 19; default: 3" },
    "soft-delete-days": { value: "n", about: "How long deleted points can come back; default: 14" },
  },
  details:
    "The key file is made if it is not there yet. Without it, and without an escrow file, nothing can be restored. A key in\n" +
    "Key Vault is reached as whoever `az login`, the environment or the machine's identity says this is.",
  examples: [
    "init /backup/vault --key-file ~/vault-key.json --escrow-file /media/usb/escrow.json",
    'init prod --connection-string "$CONNECTION" --key-file key.json',
    "init prod --key-vault-key https://corp.vault.azure.net/keys/backup --escrow-file escrow.json",
    'init "https://account.blob.core.windows.net/v-prod?$SAS" --key-file key.json',
  ],
  run: init,
};

async function init(call: Call): Promise<number> {
  const { operands, flags, output } = call;
  const [location = ""] = operands;
  const keys = chosenKeys(call);
  const wanted = {
    name: flags.text("name") ?? "vault",
    suite: keys === undefined ? ("none" as const) : ("aes-256-gcm" as const),
    chunkBytes: chunkBytesOf(call),
    compressionLevel: levelOf(call),
    softDeleteDays: flags.whole("soft-delete-days", 14),
  };
  if (keys?.file !== undefined) await refuseKeyFile(keys.file, false);
  if (keys?.escrow !== undefined) await refuseKeyFile(keys.escrow, true);
  const inKeyVault = keys?.url === undefined ? [] : [await openInKeyVault(call, keys.url)];
  const stores = await openStores(call, location, "create");
  await refuseIfPresent(stores);
  const wrappers = [...inKeyVault, ...(await makeKeyFiles(keys))];
  const { record } = await createVault({ ...outside(call, wrappers), ...stores }, wanted);
  if (flags.has("json")) {
    const { vaultId, name, locations, suite } = record;
    const openers = wrappers.map(({ id }) => id);
    output.print(JSON.stringify({ vaultId, name, locations, suite, keys: openers }, null, 2));
    return 0;
  }
  output.print(`Vault ${record.name} (${record.vaultId}) is ready at ${location.split("?")[0]}`);
  if (keys?.file) output.print(`Keep a copy of ${keys.file} elsewhere: without it nobody can restore anything.`);
  if (keys?.url) output.print(`Without ${keys.url} nobody can restore anything.`);
  if (keys?.escrow) output.print(`${keys.escrow} opens it too: keep it apart from the first.`);
  return 0;
}

interface ChosenKeys {
  readonly file: string | undefined;
  readonly url: string | undefined;
  readonly escrow: string | undefined;
}

/** One key, or knowingly none. */
function chosenKeys(call: Call): ChosenKeys | undefined {
  const isPlain = call.flags.has("no-encryption");
  const { files, urls } = givenKeys(call);
  const escrow = call.flags.text("escrow-file");
  if (files.length + urls.length !== (isPlain ? 0 : 1)) {
    throw usage(
      "Give one --key-file, for a new or an existing key, or one --key-vault-key, or --no-encryption",
      "HOLDFAST_KEY_FILE and HOLDFAST_KEY_VAULT_KEY count too.",
    );
  }
  if (escrow !== undefined && isPlain) throw usage("A vault without encryption has no key to put into escrow");
  if (escrow !== undefined && escrow === files[0]) throw usage("The escrow file is to be another file");
  return isPlain ? undefined : { file: files[0], url: urls[0], escrow };
}

/** The escrow key wraps with the first: there is no moment at which the vault opens with one of them alone. */
async function makeKeyFiles(keys: ChosenKeys | undefined): Promise<KeyWrapper[]> {
  const wrappers: KeyWrapper[] = [];
  for (const path of [keys?.file, keys?.escrow]) if (path) wrappers.push(await openOrCreateKeyFile(path));
  return wrappers;
}

function chunkBytesOf({ flags }: Call): number {
  const chunkBytes = flags.bytes("chunk-size", flags.whole("chunk-kib", DEFAULT_CHUNK_BYTES / 1024) * 1024);
  if (isChunkSize(chunkBytes)) return chunkBytes;
  throw usage("--chunk-size is a power of two from 64K to 8M");
}

function levelOf({ flags }: Call): number {
  const level = flags.whole("level", 3);
  if (level >= 1 && level <= 19) return level;
  throw usage("--level is 1 to 19");
}
