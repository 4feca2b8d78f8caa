// Runs several operations over one vault in every order their requests can come in (exploration.ts).

import { createHash } from "node:crypto";
import type { ByteRange, ObjectStore } from "../../src/ports/object-store.ts";
import type { Vault } from "../../src/vault/open-vault.ts";
import { type Explored, exploreGated, type Gate, type Outcome } from "./exploration.ts";
import type { MemoryStore } from "./memory-store.ts";
import { CountingRandom } from "./vault-fixture.ts";

export interface World {
  readonly vault: Vault;
  readonly archive: MemoryStore;
  readonly state: MemoryStore;
}

export interface Actor {
  readonly name: string;
  /** Failures are outcomes, not ends of the world: the answer says which. */
  run(vault: Vault, world: World): Promise<unknown>;
}

export interface Exploration {
  readonly world: World;
  readonly actors: readonly Actor[];
  readonly crashes?: number;
  readonly lostAnswers?: number;
  /**
   * The stores' clock stands still, but for a jump right before requests of this text. That is the worst case where the
   * only times that matter are those before and after such a request.
   */
  readonly jumpBefore?: { readonly text: string; readonly ms: number };
  readonly maxPreemptions?: number;
  check(world: World): void;
  checkEnd?(world: World, outcomes: ReadonlyMap<string, Outcome>): Promise<void> | void;
  readonly maxStates?: number;
}

/** Explores all; throws a Violation that tells the shortest found way to the state that broke the check. */
export function explore({ world, actors, jumpBefore, ...limits }: Exploration): Promise<Explored> {
  return exploreGated<VaultWorld>({
    ...limits,
    world: new VaultWorld(world),
    actors: actors.map((actor) => ({
      name: actor.name,
      run: (own, gate) => {
        const [archive, state] = [own.archive, own.state].map((store) => new GatedStore(store, gate)) as [
          GatedStore,
          GatedStore,
        ];
        return actor.run({ ...own.vault, archive, state, random: new CountingRandom(actor.name) }, own);
      },
    })),
    before: (own, text) => {
      if (text !== jumpBefore?.text) return;
      own.archive.advance(jumpBefore.ms);
      own.state.advance(jumpBefore.ms);
    },
    summaryOf,
  });
}

class VaultWorld implements World {
  readonly vault: Vault;
  readonly archive: MemoryStore;
  readonly state: MemoryStore;

  constructor({ vault, archive, state }: World) {
    this.archive = archive;
    this.state = state;
    this.vault = { ...vault, archive, state };
  }

  copy(): VaultWorld {
    return new VaultWorld({ vault: this.vault, archive: this.archive.copy(), state: this.state.copy() });
  }

  digest(): string {
    return this.archive.digest() + this.state.digest();
  }
}

class GatedStore implements ObjectStore {
  readonly location: string;
  private readonly store: MemoryStore;
  private readonly gate: Gate;

  constructor(store: MemoryStore, gate: Gate) {
    this.store = store;
    this.location = store.location;
    this.gate = gate;
  }

  create(name: string, body: Uint8Array) {
    return this.gate(`create ${name}`, true, () => this.store.create(name, body));
  }

  replace(name: string, body: Uint8Array, etag: string) {
    return this.gate(`replace ${name}`, true, () => this.store.replace(name, body, etag));
  }

  read(name: string, range?: ByteRange) {
    return this.gate(`read ${name}`, false, () => this.store.read(name, range));
  }

  delete(name: string) {
    return this.gate(`delete ${name}`, true, () => this.store.delete(name));
  }

  async *list(prefix: string) {
    // One page a request: between two pages the world may change.
    const pages = this.store.list(prefix)[Symbol.asyncIterator]();
    for (;;) {
      const page = await this.gate(`list ${prefix}`, false, () => pages.next());
      if (page.done) return;
      yield page.value;
      // A short page is the last one: asking again would only be one more state.
      if (page.value.objects.length < this.store.pageSize) return;
    }
  }
}

function summaryOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  if ("body" in value)
    return createHash("sha1")
      .update(value.body as Uint8Array)
      .digest("base64");
  if ("value" in value) return JSON.stringify(value.value ?? "end");
  return "ok";
}
