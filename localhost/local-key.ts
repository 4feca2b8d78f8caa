// The key that wraps the data keys of local vaults: a file in the data folder, made at the first start, in the form that the
// vault command makes and reads (docs/vault-cli.md), so that vaults can be opened without the service too.

import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

export async function createLocalKey(dataFolder: string): Promise<string> {
  const path = join(dataFolder, "vault.key");
  if (existsSync(path)) return path;
  await mkdir(dataFolder, { recursive: true });
  const id = `file:${randomBytes(8).toString("hex")}`;
  const content = { holdfastKey: 1, id, key: randomBytes(32).toString("base64") };
  await writeFile(path, `${JSON.stringify(content, null, 2)}\n`, { flag: "wx", mode: 0o600 });
  return path;
}
