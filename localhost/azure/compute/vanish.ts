// A snapshot, restore point or disk that is suddenly gone, whoever uses it: the fault of the same name.

import { canonicalId, targetOf, typeOf } from "../arm/target.ts";
import type { World } from "../arm/world.ts";
import type { Call } from "../http/call.ts";
import { asDisk, DISKS, RESTORE_POINTS } from "./disk-model.ts";
import { dropWithVolume } from "./drop-with-volume.ts";
import { dropPoint } from "./restore-points.ts";

/** Deletes what the request names: by its ARM path, or by the SAS it uses. */
export async function vanish(world: World, call: Call): Promise<void> {
  const id = call.query.has("si") ? grantedResource(world, call) : canonicalId(targetOf(call.segments));
  const resource = id === undefined ? undefined : world.resources.find(id);
  if (resource === undefined) return;
  const type = typeOf(resource.id).toLowerCase();
  if (type === RESTORE_POINTS.toLowerCase()) await world.state.commit(dropPoint(world, resource, true));
  else if (type === DISKS.toLowerCase()) await world.state.commit(dropWithVolume(world, asDisk(resource)));
  else if (resource.inner.volume !== undefined) await world.state.commit(dropWithVolume(world, asDisk(resource)));
}

function grantedResource(world: World, call: Call): string | undefined {
  return world.grants.verify(call.segments.join("/"), call.query, world.now()).resource;
}
