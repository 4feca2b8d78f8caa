// Azure's machines, of both kinds.

import type { Machine, MachineSummary, Machines } from "../ports/machines.ts";
import type { Arm } from "./arm.ts";
import { listArmMachines, readArmMachine } from "./arm-machines.ts";
import { CLASSIC_MACHINES, listClassicMachines, readClassicMachine } from "./classic-machines.ts";
import { parseResourceId } from "./resource-path.ts";

export function azureMachines(arm: Arm): Machines {
  return {
    list: (subscriptionId) => listAll(arm, subscriptionId),
    read: async (machineId): Promise<Machine | undefined> =>
      isClassic(machineId) ? readClassicMachine(arm, machineId) : readArmMachine(arm, machineId),
  };
}

async function* listAll(arm: Arm, subscriptionId: string): AsyncGenerator<readonly MachineSummary[]> {
  yield* listArmMachines(arm, subscriptionId);
  yield* listClassicMachines(arm, subscriptionId);
}

function isClassic(machineId: string): boolean {
  return parseResourceId(machineId).type === CLASSIC_MACHINES.toLowerCase();
}
