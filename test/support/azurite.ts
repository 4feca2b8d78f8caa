// Azurite's blob service as a child process on a port of its own choosing, for tests of what talks to Azure storage.

import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";
import { StorageSharedKeyCredential } from "@azure/storage-blob";

export interface Azurite {
  readonly blobEndpoint: string;
  readonly credential: StorageSharedKeyCredential;
  readonly connectionString: string;
  readonly process: ChildProcess;
  stop(): Promise<void>;
}

/** The account that every Azurite has; its key is public. */
const ACCOUNT = "devstoreaccount1";
const KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

export async function startAzurite(
  options: { readonly folder?: string; readonly accounts?: Readonly<Record<string, string>> } = {},
): Promise<Azurite> {
  const program = createRequire(import.meta.url).resolve("azurite/dist/src/blob/main.js");
  const where = options.folder === undefined ? ["--inMemoryPersistence"] : ["--location", options.folder];
  const args = [
    program,
    "--blobPort",
    "0",
    "--blobHost",
    "127.0.0.1",
    "--silent",
    "--skipApiVersionCheck",
    "--disableTelemetry",
    ...where,
  ];
  const more = Object.entries(options.accounts ?? {}).map(([name, key]) => `;${name}:${key}`);
  const env = { ...process.env, AZURITE_ACCOUNTS: `${ACCOUNT}:${KEY}${more.join("")}` };
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"], env });
  const blobUrl = await listeningUrl(child);
  const blobEndpoint = `${blobUrl}/${ACCOUNT}`;
  return {
    blobEndpoint,
    credential: new StorageSharedKeyCredential(ACCOUNT, KEY),
    connectionString: `AccountName=${ACCOUNT};AccountKey=${KEY};BlobEndpoint=${blobEndpoint};`,
    process: child,
    stop: () => stop(child),
  };
}

function listeningUrl(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = "";
    const read = (text: Buffer) => {
      said += text.toString();
      const url = /listens on (http:\/\/[\d.:]+)/.exec(said)?.[1];
      if (url) resolve(url);
    };
    child.stdout?.on("data", read);
    child.stderr?.on("data", read);
    child.once("exit", (code) => reject(new Error(`Azurite ended with ${code}: ${said}`)));
  });
}

function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGTERM");
  });
}
