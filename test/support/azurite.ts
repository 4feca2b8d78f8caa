// Azurite as a child process, its blob and table services on ports of its own choosing, for tests of what talks to Azure
// storage.

import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";
import { StorageSharedKeyCredential } from "@azure/storage-blob";

export interface Azurite {
  readonly blobEndpoint: string;
  readonly tableEndpoint: string;
  readonly credential: StorageSharedKeyCredential;
  readonly connectionString: string;
  readonly process: ChildProcess;
  stop(): Promise<void>;
}

/** The account that every Azurite has; its key is public. */
const ACCOUNT = "devstoreaccount1";
const KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const HOST = "127.0.0.1";

export interface AzuriteOptions {
  readonly folder?: string;
  /** Names and keys of accounts besides its own. */
  readonly accounts?: Readonly<Record<string, string>>;
}

export async function startAzurite(options: AzuriteOptions = {}): Promise<Azurite> {
  const program = createRequire(import.meta.url).resolve("azurite/dist/src/azurite.js");
  const where = options.folder === undefined ? ["--inMemoryPersistence"] : ["--location", options.folder];
  const ports = ["blob", "queue", "table"].flatMap((service) => [`--${service}Host`, HOST, `--${service}Port`, "0"]);
  const args = [program, ...ports, "--silent", "--skipApiVersionCheck", "--disableTelemetry", ...where];
  const accounts = Object.entries({ [ACCOUNT]: KEY, ...options.accounts }).map(([name, key]) => `${name}:${key}`);
  const env = { ...process.env, AZURITE_ACCOUNTS: accounts.join(";") };
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const urls = await listeningUrls(child);
  const blobEndpoint = `${urls.blob}/${ACCOUNT}`;
  const tableEndpoint = `${urls.table}/${ACCOUNT}`;
  const endpoints = `BlobEndpoint=${blobEndpoint};TableEndpoint=${tableEndpoint};`;
  return {
    blobEndpoint,
    tableEndpoint,
    credential: new StorageSharedKeyCredential(ACCOUNT, KEY),
    connectionString: `AccountName=${ACCOUNT};AccountKey=${KEY};${endpoints}`,
    process: child,
    stop: () => stop(child),
  };
}

function listeningUrls(child: ChildProcess): Promise<{ blob: string; table: string }> {
  return new Promise((resolve, reject) => {
    let said = "";
    const urlOf = (service: string) =>
      new RegExp(`${service} service .*listen\\w* \\w+ (http://[\\d.:]+)`).exec(said)?.[1];
    const read = (text: Buffer) => {
      said += text.toString();
      const [blob, table] = [urlOf("Blob"), urlOf("Table")];
      if (blob && table) resolve({ blob, table });
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
