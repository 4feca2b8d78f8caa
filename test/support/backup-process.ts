// A process that backs an image up under a given transfer, to be killed at any moment and started again:
// node backup-process.ts <archive> <state> <transfer> <image> [<connection string>]

import { randomBytes } from "node:crypto";
import { openBlobStore, parseConnectionString } from "../../src/azure/blob-object-store.ts";
import { openFolderStore } from "../../src/files/folder-store.ts";
import { openImage } from "../../src/files/image-disk.ts";
import { parseTransferId } from "../../src/vault/format/names.ts";
import { openVault } from "../../src/vault/open-vault.ts";
import { runBackup } from "../../src/vault/transfer.ts";
import { VM } from "./vault-fixture.ts";

const [archive, state, transfer, image, connection] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string?,
];
const open = (where: string) =>
  connection ? openBlobStore(where, parseConnectionString(connection).credential) : openFolderStore(where);
const vault = await openVault({
  archive: await open(archive),
  state: await open(state),
  wrappers: [],
  clock: { now: () => new Date() },
  random: { bytes: (count) => randomBytes(count) },
});
const source = await openImage(image);
await runBackup(vault, { item: VM, disks: [{ source, name: "os", lun: -1 }] }, parseTransferId(transfer));
await source.close();
