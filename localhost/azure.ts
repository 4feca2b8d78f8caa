// The simulated Azure as a program: identity, Resource Manager, disks and keys on one loopback port. See docs/simulated-azure.md.
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { HoldfastFailure, messageOf } from "../src/base/failure.ts";
import { readEstate } from "./azure/estate/read-estate.ts";
import { startAzure } from "./azure/start.ts";
import { acquireLockWithin } from "./patient-lock.ts";
import { endWithParent } from "./with-parent.ts";

/** One of an earlier start may still be on its way out, when nobody is there to have waited for it. */
const EARLIER_ONE_MS = 20_000;

const HELP = `Usage: node localhost/azure.ts [options]

A simulated Azure on 127.0.0.1 for the official SDKs: tokens, Resource Manager, disks behind SAS URLs, keys.

  --port <n>              port to listen on; 0 takes a free one (default 7072)
  --data <folder>         where all state lives (default .holdfast/azure)
  --estate <name|file>    what there is when the folder is new: default, big, or a YAML or JSON file (default: default)
  --upstream <url>        who answers requests for Microsoft.RecoveryServices
  --blob-origin <url>     where storage accounts keep their blobs: Azurite (default http://127.0.0.1:10000)
  --identity-header <s>   what callers of the managed-identity endpoint must send (default: kept in the data folder)
  --with-parent           stop when standard input ends, as it does when the process that started this one is gone
  --help                  this text

Stops on SIGINT and SIGTERM. State survives SIGKILL. How it behaves afterwards (faults, machines): <origin>/control/…
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "7072" },
      data: { type: "string", default: ".holdfast/azure" },
      estate: { type: "string", default: "default" },
      upstream: { type: "string" },
      "blob-origin": { type: "string" },
      "identity-header": { type: "string" },
      "with-parent": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new HoldfastFailure("invalid", "PortInvalid", `--port ${values.port} is not a port`, {
      hint: "Give a number from 0 to 65535.",
    });
  const { estate, path } = await readEstate(values.estate);
  const dataFolder = resolve(values.data);
  const lock = await acquireLockWithin(dataFolder, values["with-parent"] ? EARLIER_ONE_MS : 0);
  const azure = await startAzure({
    port,
    dataFolder,
    estate,
    estatePath: path,
    upstream: values.upstream,
    blobOrigin: values["blob-origin"],
    onNotice: (message) => process.stderr.write(`${message}\n`),
    identityHeader: values["identity-header"],
  });
  await lock.announce(azure.origin);
  process.stdout.write(
    `Simulated Azure: ${azure.origin}  tenant ${azure.tenant}  identity ${azure.identityEndpoint}\n`,
  );
  const stop = () =>
    void azure.close().then(async () => {
      await lock.release();
      process.exit(0);
    });
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  if (values["with-parent"]) endWithParent();
}

main().catch((cause: unknown) => {
  const hint = cause instanceof HoldfastFailure && cause.hint !== undefined ? `\n${cause.hint}` : "";
  process.stderr.write(`${messageOf(cause)}${hint}\n`);
  process.exitCode = 1;
});
