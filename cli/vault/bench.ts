// `holdfast vault bench`: what this machine and that store can do, in about twenty seconds, leaving nothing behind.

import { HoldfastFailure } from "../../src/base/failure.ts";
import { VAULT_RECORD } from "../../src/vault/format/names.ts";
import { unverifiedRecord, type VaultRecord, vaultRecord } from "../../src/vault/format/records.ts";
import { isKind } from "../../src/vault/objects.ts";
import type { VaultStores } from "../../src/vault/open-vault.ts";
import { type Call, type Command, usage } from "../command-line.ts";
import { bytesText, durationText, type Output, table } from "../output.ts";
import { type CoreSpeed, measureCores } from "./bench/core-speed.ts";
import type { CoreRates } from "./bench/core-worker.ts";
import { type Latency, measureStore, type StoreSpeed } from "./bench/store-speed.ts";
import { openStores, outside, SHARED_OPTIONS } from "./location.ts";

const TiB = 2 ** 40;
/** What is assumed of disks where nothing else is known, and what the measured sample does. */
const COMPRESSED_SHARE = 0.5;

export const benchCommand: Command = {
  name: "bench",
  summary: "Measures this machine and that store, in about 20 seconds, and leaves nothing behind.",
  operands: ["vault"],
  options: {
    ...SHARED_OPTIONS,
    seconds: { value: "n", about: "How long to measure, 1 to 600; default: 20" },
  },
  details:
    "Needs no key, but the right to write. What it writes, at most 1 GiB, lies in the state container under bench/ and goes at\n" +
    "the end, on Ctrl-C too; what a killed run left goes with the next one. From a folder, reads may come out of memory.",
  examples: ["bench /backup/vault", "bench prod --seconds 60 --json"],
  run: bench,
};

async function bench(call: Call): Promise<number> {
  const { flags, output, signal } = call;
  const seconds = flags.whole("seconds", 20);
  if (seconds < 1 || seconds > 600) throw usage("--seconds is 1 to 600");
  const stores = await openStores(call, call.operands[0] as string);
  const { defaults } = await recordOf(stores);
  const { random } = outside(call, []);
  const run = Buffer.from(random.bytes(8)).toString("hex");
  const task = { chunkBytes: defaults.chunkBytes, level: defaults.compressionLevel };
  if (!flags.has("json")) output.complain(`Measuring for about ${seconds} seconds.`);
  const store = await measureStore(stores.state, {
    run,
    budgetMs: seconds * 600,
    random: (count) => random.bytes(count),
  });
  const machine = await measureCores(task, seconds * 400, signal);
  const firstBackup = estimateOf(machine, store);
  if (flags.has("json")) output.print(JSON.stringify({ machine, store, firstBackup }, null, 2));
  else printSpeeds(output, stores, { machine, store, firstBackup });
  return 0;
}

/** As it claims to be: nothing is read under a key here. */
async function recordOf({ state }: VaultStores): Promise<VaultRecord> {
  try {
    return unverifiedRecord(vaultRecord, VAULT_RECORD, (await state.read(VAULT_RECORD)).body);
  } catch (cause) {
    if (!isKind(cause, "not-found")) throw cause;
    throw new HoldfastFailure("not-found", "HoldfastNoVault", `There is no vault at ${state.location}`, { cause });
  }
}

interface FirstBackup {
  readonly bytesPerSecond: number;
  readonly limitedBy: "machine" | "store";
}

/** Every byte is named and compressed, and what is left of it encrypted and stored; the cores and the store work at once. */
function estimateOf({ oneCore, twoCores = oneCore }: CoreSpeed, { writeBytesPerSecond }: StoreSpeed): FirstBackup {
  const { hash, compress, encrypt } = twoCores;
  const machine = 1 / (1 / hash + 1 / compress + COMPRESSED_SHARE / encrypt);
  const store = writeBytesPerSecond / COMPRESSED_SHARE;
  return machine < store
    ? { bytesPerSecond: machine, limitedBy: "machine" }
    : { bytesPerSecond: store, limitedBy: "store" };
}

function printSpeeds(
  output: Output,
  { state }: VaultStores,
  { machine, store, firstBackup }: { machine: CoreSpeed; store: StoreSpeed; firstBackup: FirstBackup },
): void {
  const rate = (bytes: number) => `${bytesText(bytes)}/s`;
  const row = (what: string, name: keyof CoreRates) => {
    const both = machine.twoCores ? [rate(machine.twoCores[name])] : [];
    return [what, rate(machine.oneCore[name]), ...both];
  };
  const head = [`THIS MACHINE, ${machine.cores} CORES`, "ONE CORE", ...(machine.twoCores ? ["TWO CORES"] : [])];
  const rows = [row("name chunks", "hash"), row("compress", "compress"), row("encrypt", "encrypt")];
  for (const line of table([head, ...rows])) output.print(line);
  output.print("");
  output.print(`THE STORE, ${state.location}`);
  output.print(`write  ${rate(store.writeBytesPerSecond)}, objects of ${bytesText(store.objectBytes)}`);
  output.print(`read   ${rate(store.readBytesPerSecond)}`);
  const small = (what: string, { medianMs, p95Ms }: Latency) =>
    `${what} ${medianMs.toFixed(1)} ms (95 % within ${p95Ms.toFixed(1)} ms)`;
  const { create, read, remove } = store.small;
  output.print(`small  ${[small("write", create), small("read", read), small("delete", remove)].join(", ")}`);
  output.print("");
  const { bytesPerSecond, limitedBy } = firstBackup;
  const limit = limitedBy === "machine" ? "this machine" : "the store";
  output.print(
    `A first backup of disks that compress to half may do ${rate(bytesPerSecond)}, 1 TiB in ${durationText(TiB / bytesPerSecond)}: ${limit} is the limit.`,
  );
}
