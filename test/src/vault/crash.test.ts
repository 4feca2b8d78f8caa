import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createBlobStore } from "../../../src/azure/blob-object-store.ts";
import { openFolderStore } from "../../../src/files/folder-store.ts";
import { listPoints } from "../../../src/vault/list-points.ts";
import { createVault, type Vault } from "../../../src/vault/open-vault.ts";
import { newTransferId } from "../../../src/vault/transfer.ts";
import { verifyVault } from "../../../src/vault/verify.ts";
import { type Azurite, startAzurite } from "../../support/azurite.ts";
import { CHUNK, restoreFrom } from "../../support/vault-fixture.ts";

const program = fileURLToPath(new URL("../../support/backup-process.ts", import.meta.url));
const MiB = 2 ** 20;

describe("A backup whose process is killed", () => {
  let root: string;
  let image: string;
  let azurite: Azurite;
  let count = 0;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "holdfast-crash-"));
    image = join(root, "disk.img");
    // Every second chunk is noise: a few packs, and several slices' worth of work would be too long for a test.
    const bytes = Buffer.alloc(60 * MiB);
    for (let offset = 0; offset < bytes.length; offset += 2 * CHUNK) randomBytes(CHUNK).copy(bytes, offset);
    await writeFile(image, bytes);
    azurite = await startAzurite();
  });
  afterAll(async () => {
    await azurite.stop();
    await rm(root, { recursive: true });
  });

  const inFolder = async () => {
    const where = join(root, `vault-${count++}`);
    const stores = { archive: await openFolderStore(join(where, "v")), state: await openFolderStore(join(where, "w")) };
    return { ...stores, args: [join(where, "v"), join(where, "w")], account: [] as string[] };
  };
  const inAzurite = async () => {
    const url = (kind: string) => `${azurite.blobEndpoint}/${kind}-crash-${count}`;
    const { credential } = azurite;
    const stores = {
      archive: await createBlobStore(url("v"), credential),
      state: await createBlobStore(url("w"), credential),
    };
    const args = [url("v"), url("w")];
    count++;
    return { ...stores, args, account: [azurite.connectionString] };
  };

  for (const [kind, make] of Object.entries({ "a folder": inFolder, "a storage account": inAzurite })) {
    it(`goes on under the same transfer, in ${kind}, and nothing is ever half there`, async () => {
      const { archive, state, args, account } = await make();
      const deps = {
        archive,
        state,
        wrappers: [],
        clock: { now: () => new Date() },
        random: { bytes: (n: number) => randomBytes(n) },
      };
      const vault = await createVault(deps, { name: "crash", suite: "none", chunkBytes: CHUNK });
      const transfer = newTransferId(vault);
      const start = () =>
        spawn(process.execPath, [program, args[0] as string, args[1] as string, transfer, image, ...account], {
          stdio: ["ignore", "inherit", "inherit"],
        });
      for (const milestone of [`pins/${transfer}`, `plans/${transfer}/0`, `packs/${transfer}/`]) {
        await killAt(start(), vault, milestone);
        expect((await pointsOf(vault)).length).toBeLessThanOrEqual(1);
      }
      expect(await ended(start())).toBe(0);
      expect(await ended(start())).toBe(0);
      const [manifest, ...others] = await pointsOf(vault);
      expect(others).toEqual([]);
      expect((await restoreFrom(vault, manifest as never)).equals(await readFile(image))).toBe(true);
      expect((await verifyVault(vault, { data: "all" })).findings).toEqual([]);
      for await (const page of state.list("pins/")) expect(page.objects).toEqual([]);
    });
  }
});

/** Kills the process as soon as something stands under the name, or lets it end if it was quicker. */
async function killAt(child: ChildProcess, { archive, state }: Vault, name: string): Promise<void> {
  const end = ended(child);
  let isOver = false;
  end.then(() => {
    isOver = true;
  });
  const store = name.startsWith("packs/") ? archive : state;
  const isThere = async () => {
    for await (const page of store.list(name)) if (page.objects.length > 0) return true;
    return false;
  };
  while (!isOver && !(await isThere())) await sleep(5);
  child.kill("SIGKILL");
  await end;
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once("exit", (code) => resolve(code)));
}

async function pointsOf(vault: Vault) {
  const manifests = [];
  for await (const { manifest } of listPoints(vault)) manifests.push(manifest);
  return manifests;
}
