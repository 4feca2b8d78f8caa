// What is wrong with one pack, as readers meet it: which of its parts they do not get.

import type { PackId } from "./format/names.ts";
import { isKind } from "./objects.ts";
import type { Vault } from "./open-vault.ts";
import { listGenerations, readersChoice, readGeneration, type StoredGeneration } from "./pack-generations.ts";
import { readPackTable } from "./pack-reader.ts";

export interface StoredPack extends StoredGeneration {
  readonly pack: PackId;
}

export type PackFlaw = "pack-missing" | "pack-damaged" | "chunk-damaged" | "index-damaged";

/** What is known of a bad pack; a walk over the index adds what it comes across. */
export class PackVerdict {
  readonly pack: PackId;
  readonly kind: PackFlaw;
  readonly message: string;
  /** The pack as such is to be written again, whatever parts of it are sound. */
  readonly isWhole: boolean;
  private readonly bad: Set<string>;
  private readonly sound: ReadonlySet<string> | undefined;

  constructor(pack: PackId, kind: PackFlaw, message: string, bad: Iterable<string> | { readonly allBut: Set<string> }) {
    this.pack = pack;
    this.kind = kind;
    this.message = message;
    this.sound = "allBut" in bad ? bad.allBut : undefined;
    this.isWhole = this.sound !== undefined;
    this.bad = new Set("allBut" in bad ? [] : bad);
  }

  takes(id: string): boolean {
    return this.bad.has(id) || (this.sound !== undefined && !this.sound.has(id));
  }

  add(id: string): void {
    this.bad.add(id);
  }

  get badIds(): readonly string[] {
    return [...this.bad];
  }
}

/** Reads a whole pack once and looks at everything in it; a pack that went meanwhile is no loss. */
export async function verifyPack(vault: Vault, stored: StoredPack): Promise<PackVerdict | undefined> {
  const { pack } = stored;
  const read = await readGeneration(vault, pack, stored);
  if (!read) {
    const again = readersChoice(await listGenerations(vault.archive, pack));
    return again && again.generation > stored.generation ? verifyPack(vault, { ...again, pack }) : undefined;
  }
  const { sound, listed, content, generation } = read;
  if (listed === undefined) {
    // Entries of the index find generation 0 without its table; a later one is lost without it.
    const allBut = new Set(generation === 0 ? sound.keys() : []);
    return new PackVerdict(pack, "pack-damaged", "its header, its table or its end is damaged", { allBut });
  }
  const bad = listed.filter((id) => !sound.has(id));
  if (bad.length === 0) return undefined;
  const kind = content === "index" ? "index-damaged" : "chunk-damaged";
  return new PackVerdict(pack, kind, `${bad.length} of ${listed.length} parts are damaged`, bad);
}

const MAX_CACHED_TABLES = 256;

/** Which parts the later generations of packs hold. */
export class LaterTables {
  private readonly vault: Vault;
  private readonly ids = new Map<string, Promise<ReadonlySet<string>>>();

  constructor(vault: Vault) {
    this.vault = vault;
  }

  /** Fails with "not-found" when that generation has gone, and with "corrupt" when its table is damaged. */
  idsOf(stored: StoredPack): Promise<ReadonlySet<string>> {
    const known = this.ids.get(stored.name);
    if (known) return known;
    if (this.ids.size >= MAX_CACHED_TABLES) this.ids.delete(this.ids.keys().next().value as string);
    const read = readPackTable(this.vault, stored.pack, stored).then(
      ({ entries }) => new Set(entries.map(({ id }) => id.toString("hex"))),
    );
    read.catch(() => this.ids.delete(stored.name));
    this.ids.set(stored.name, read);
    return read;
  }
}

/** The table is not there any more, or cannot be read: the two that `idsOf` fails with. */
export const isGone = (cause: unknown) => isKind(cause, "not-found");
