// Snapshots of machines of both kinds. A Resource Manager machine has a collection of restore points. A Classic one has
// none, so it stands for its own: what names its collection names the machine.

import type { Snapshots } from "../ports/snapshots.ts";
import type { Arm } from "./arm.ts";
import type { DiskAccess } from "./disk-access.ts";
import { RestorePoints } from "./restore-points.ts";

export function azureSnapshots(arm: Arm, access: DiskAccess): Snapshots {
  return new RestorePoints(arm, access);
}
