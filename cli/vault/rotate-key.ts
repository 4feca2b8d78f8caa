// `holdfast vault rotate-key|keys`: which keys open the vault, and changing them while it stands.

import { stat } from "node:fs/promises";
import { HoldfastFailure } from "../../src/base/failure.ts";
import { openKeyFile } from "../../src/files/key-file.ts";
import type { KeyWrapper } from "../../src/ports/key-wrapper.ts";
import { isRetired, readKeyRecords } from "../../src/vault/key-ring.ts";
import { openVault, type Vault, type VaultDeps } from "../../src/vault/open-vault.ts";
import {
  eraseRetired,
  openersOf,
  type Rotated,
  refuseMissing,
  requireRotatable,
  rotateDataKey,
  rotateWrapping,
} from "../../src/vault/rotate-keys.ts";
import { type Call, type Command, usage } from "../command-line.ts";
import { table } from "../output.ts";
import { findInKeyVault, openInKeyVault, openOrCreateKeyFile, refuseKeyFile } from "./keys.ts";
import { depsOf, openNamed, SHARED_OPTIONS } from "./location.ts";

export const keysCommand: Command = {
  name: "keys",
  summary: "Lists the data keys of a vault, and what opens each of them.",
  operands: ["vault"],
  options: SHARED_OPTIONS,
  examples: ["keys /backup/vault --key-file ~/vault-key.json"],
  run: listKeys,
};

export const rotateKeyCommand: Command = {
  name: "rotate-key",
  summary: "Changes the key that opens a vault, or the key of what is backed up from now on.",
  operands: ["vault"],
  options: {
    ...SHARED_OPTIONS,
    "new-key-file": { value: "file", about: "Opens the vault from now on; made if it is not there" },
    "new-key-vault-key": { value: "url", about: "The same in Azure Key Vault" },
    "new-escrow-file": { value: "file", about: "A second new key; every key but the new ones is retired then" },
    "data-key": { about: "A new data key for new backups, which share nothing with older ones" },
    retire: { value: "key", isRepeatable: true, about: "Retires this key too, as `keys` names it" },
    "keep-old": { about: "Retires nothing: the new key is one more" },
    erase: { about: "Deletes what is retired from the archive, so that a lost key finds nothing to open" },
    force: { about: "Also with a key that has no purge protection, or that leaves out a key with --data-key" },
  },
  details:
    "The old keys are given as for any command; the first of them is retired. A key in Key Vault that was rotated there: give\n" +
    "it alone. A key that was stolen may have been used already: then --data-key, and let the older points go (docs/vault-cli.md).",
  examples: [
    "rotate-key /backup/vault --key-file old.json --new-key-file new.json --new-escrow-file /media/usb/escrow.json",
    "rotate-key prod --new-key-vault-key https://corp.vault.azure.net/keys/backup --key-file old.json",
    "rotate-key prod --data-key --key-file key.json --key-file /media/usb/escrow.json",
  ],
  run: rotate,
};

async function listKeys(call: Call): Promise<number> {
  const vault = await openNamed(call);
  const records = (await readKeyRecords(vault)).map((found) => ({
    keyId: found.keyId,
    isActive: found.keyId === vault.record.activeKeyId,
    openedBy: found.record.wrapped?.wrapperId ?? null,
    version: found.record.wrapped?.version ?? null,
    isRetired: isRetired(vault.record, found),
    createdAt: found.record.createdAt,
  }));
  if (call.flags.has("json")) {
    call.output.print(JSON.stringify(records, null, 2));
    return 0;
  }
  const rows = records.map(({ keyId, isActive, openedBy, isRetired: isOld, createdAt }) => {
    const state = [isActive ? "active" : "", isOld ? "retired" : ""].filter(Boolean).join(", ");
    return [keyId, openedBy ?? "nothing: not encrypted", createdAt.slice(0, 10), state];
  });
  for (const line of table([["DATA KEY", "OPENED BY", "SINCE", "STATE"], ...rows])) call.output.print(line);
  return 0;
}

const CHANGES = ["new-key-file", "new-key-vault-key", "new-escrow-file", "data-key", "retire", "erase"];

async function rotate(call: Call): Promise<number> {
  const { flags } = call;
  await refuseNonsense(call);
  const { vault, deps } = await openWithKeys(call);
  requireRotatable(vault);
  const isOfKeyVault = deps.wrappers.some(({ id }) => id.startsWith("http"));
  if (!isOfKeyVault && !CHANGES.some((name) => flags.has(name))) {
    throw usage("Say what is to change", `One of ${CHANGES.map((name) => `--${name}`).join(", ")}.`);
  }
  const retires = retirementOf(call, deps.wrappers);
  await refuseBeforehand(call, vault, deps.wrappers, retires);
  const newWrappers = await newWrappersOf(call, deps.wrappers, openOrCreateKeyFile);
  const current = { ...deps, wrappers: unique([...newWrappers, ...deps.wrappers]) };
  let rotated: Rotated | undefined;
  if (newWrappers.length > 0 || flags.has("retire") || !flags.has("data-key")) {
    const keys = newWrappers.length > 0 ? newWrappers : deps.wrappers;
    rotated = await rotateWrapping(deps, { newWrappers: keys, retires });
  }
  if (flags.has("data-key")) {
    const made = await rotateDataKey(current, { evenMissing: flags.has("force") });
    rotated = { ...made, retired: rotated?.retired ?? [], skipped: rotated?.skipped ?? [] };
  }
  const erased = flags.has("erase") ? await eraseRetired(current) : 0;
  report(call, rotated as Rotated, erased);
  return 0;
}

async function refuseNonsense({ flags }: Call): Promise<void> {
  if (flags.has("new-key-file") && flags.has("new-key-vault-key")) {
    throw usage("Give --new-key-file or --new-key-vault-key, not both");
  }
  if (flags.has("keep-old") && flags.has("retire")) throw usage("Give --keep-old or --retire, not both");
  const [file, escrow] = [flags.text("new-key-file"), flags.text("new-escrow-file")];
  if (file !== undefined && file === escrow) throw usage("The escrow file is to be another file");
  // They may be there already: a rotation that was stopped is done again with the same command.
  for (const path of [file, escrow]) if (path !== undefined) await refuseKeyFile(path, false);
}

/** What would fail after the new key files were made. */
async function refuseBeforehand(
  call: Call,
  vault: Vault,
  given: readonly KeyWrapper[],
  retires: (id: string) => boolean,
): Promise<void> {
  const { flags } = call;
  const standing = await newWrappersOf(call, given, openIfPresent);
  refuseSameFile(standing, given);
  const openers = await openersOf(vault);
  const unknown = flags.list("retire").find((id) => !openers.includes(id));
  if (unknown !== undefined) {
    throw new HoldfastFailure("not-found", "HoldfastKeyNotFound", `No key ${unknown} opens the vault`, {
      hint: `These do: ${openers.join(", ")}.`,
    });
  }
  if (!flags.has("data-key") || flags.has("force")) return;
  const staying = openers.filter((id) => !retires(id) || standing.some((wrapper) => wrapper.id === id));
  refuseMissing(staying, [...standing, ...given]);
}

async function openIfPresent(path: string): Promise<KeyWrapper | undefined> {
  return (await stat(path).catch(() => undefined)) ? openKeyFile(path) : undefined;
}

/** With what opens it in hand: a key that the vault itself names is as good as one that was given. */
async function openWithKeys(call: Call): Promise<{ vault: Vault; deps: VaultDeps }> {
  const deps = await depsOf(call, call.operands[0] as string);
  const vault = await openNamed(call);
  if (deps.wrappers.length > 0) return { vault, deps };
  const found = await Promise.all((await openersOf(vault)).map((id) => findInKeyVault(call, id)));
  const wrappers = found.filter((wrapper) => wrapper !== undefined);
  return { vault: await openVault({ ...deps, wrappers }), deps: { ...deps, wrappers } };
}

/** An escrow key of its own comes beside the key that opens the vault already. */
async function newWrappersOf(
  call: Call,
  given: readonly KeyWrapper[],
  openFile: (path: string) => Promise<KeyWrapper | undefined>,
): Promise<KeyWrapper[]> {
  const { flags } = call;
  const [keyFile, url, escrow] = ["new-key-file", "new-key-vault-key", "new-escrow-file"].map((name) =>
    flags.text(name),
  );
  const wrappers: KeyWrapper[] = [];
  if (url !== undefined) wrappers.push(await openInKeyVault(call, url));
  if (escrow !== undefined && keyFile === undefined && url === undefined) wrappers.push(...given.slice(0, 1));
  for (const file of [keyFile, escrow]) {
    const wrapper = file === undefined ? undefined : await openFile(file);
    if (wrapper) wrappers.push(wrapper);
  }
  return wrappers;
}

/** The first given key makes room for the new one. Old versions of a key that stays go too: all is wrapped anew. */
function retirementOf({ flags }: Call, [replaced]: readonly KeyWrapper[]) {
  return (id: string): boolean => {
    if (flags.has("keep-old")) return false;
    return flags.has("new-escrow-file") || flags.list("retire").includes(id) || id === replaced?.id;
  };
}

/** In Key Vault the same key may have a newer version; a file is what it is. */
function refuseSameFile(fresh: readonly KeyWrapper[], given: readonly KeyWrapper[]): void {
  const same = fresh.find((wrapper) => wrapper.id.startsWith("file:") && given.some(({ id }) => id === wrapper.id));
  if (same && !given.includes(same)) throw usage(`The new key file is the old one, ${same.id}`);
}

function unique(wrappers: readonly KeyWrapper[]): KeyWrapper[] {
  return [...new Map(wrappers.map((wrapper) => [wrapper.id, wrapper])).values()];
}

function report({ flags, output }: Call, rotated: Rotated, erased: number): void {
  const { activeKeyId, openers, retired, skipped } = rotated;
  if (flags.has("json")) {
    output.print(JSON.stringify({ activeKeyId, openers, retired, skipped, erased }, null, 2));
    return;
  }
  output.print("The vault opens with");
  for (const id of openers) output.print(`  ${id}`);
  for (const id of retired) output.print(`Retired: ${id}`);
  if (erased > 0) output.print(`Erased ${erased} retired records. Copies of the vault still have theirs.`);
  for (const id of skipped) output.print(`Data key ${id} did not open, and is as it was.`);
  if (!flags.has("data-key")) return;
  output.print(`New backups lie under data key ${activeKeyId}.`);
  output.print(
    "They share nothing with older points: the next backup of each item is a full one. Older points restore as before.",
  );
}
