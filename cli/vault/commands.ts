// Every command of `holdfast vault`, in the order of the help.

import type { Command } from "../command-line.ts";
import { backupCommand } from "./backup.ts";
import { benchCommand } from "./bench.ts";
import { adoptCommand, collectCommand, copyCommand, verifyCommand } from "./care.ts";
import { initCommand } from "./init.ts";
import { mountCommand } from "./mount.ts";
import {
  deleteCommand,
  diffCommand,
  holdCommand,
  listCommand,
  rebuildCatalogCommand,
  showCommand,
  undeleteCommand,
} from "./points.ts";
import { repairCommand } from "./repair.ts";
import { exportCommand, restoreCommand } from "./restore.ts";
import { keysCommand, rotateKeyCommand } from "./rotate-key.ts";

export { SHARED_OPTIONS } from "./location.ts";

export const vaultCommands: readonly Command[] = [
  initCommand,
  backupCommand,
  listCommand,
  showCommand,
  diffCommand,
  restoreCommand,
  exportCommand,
  mountCommand,
  verifyCommand,
  repairCommand,
  deleteCommand,
  undeleteCommand,
  holdCommand,
  collectCommand,
  copyCommand,
  adoptCommand,
  rebuildCatalogCommand,
  keysCommand,
  rotateKeyCommand,
  benchCommand,
];
