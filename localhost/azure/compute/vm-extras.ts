// What is done inside a machine through ARM: extensions and run commands. Nothing runs in a simulated machine; the answers
// follow its power state and its agent, which is what a backup product must cope with.
import { z } from "zod";
import { locationSchema } from "../arm/location.ts";
import type { OperationFailure } from "../arm/operations.ts";
import { drop, keep, type Resource, render } from "../arm/resources.ts";
import { nameOf, parentId } from "../arm/target.ts";
import { type ArmHandler, type ArmRoutes, accepted, begin, bodyOf, conflict, page } from "../arm/world.ts";
import { json } from "../http/call.ts";
import { VIRTUAL_MACHINES } from "./disk-model.ts";
import { agentState, asVm, type Vm } from "./vm-model.ts";

const EXTENSIONS = `${VIRTUAL_MACHINES}/extensions`;
const VM = "microsoft.compute/virtualmachines";

const extensionSchema = z.looseObject({
  location: locationSchema,
  tags: z.record(z.string(), z.string()).optional(),
  properties: z.looseObject({ publisher: z.string(), type: z.string(), typeHandlerVersion: z.string().optional() }),
});
const runCommandSchema = z.looseObject({ commandId: z.string().min(1), script: z.array(z.string()).default([]) });

const SIZES = [
  ["Standard_B2s", 2, 4096, 4],
  ["Standard_D2s_v5", 2, 8192, 4],
  ["Standard_D4s_v5", 4, 16384, 8],
  ["Standard_E8s_v5", 8, 65536, 16],
] as const;

export const vmExtraRoutes: ArmRoutes = {
  [`GET ${VM}/{}/extensions`]: (world, request) => {
    const vm = world.resources.get(request.id);
    return page(world, request, world.resources.below(vm.id, EXTENSIONS), (extension) =>
      render(extension, world.now()),
    );
  },
  [`GET ${VM}/{}/extensions/{}`]: (world, request) => json(200, render(world.resources.get(request.id), world.now())),
  [`PUT ${VM}/{}/extensions/{}`]: (world, request) => putExtension(world, request),
  [`DELETE ${VM}/{}/extensions/{}`]: async (world, request) => {
    const extension = world.resources.find(request.id);
    if (extension === undefined) return { status: 204 };
    return accepted(world, [drop(extension.id)], begin(world, request, extension.location, "operations"));
  },
  [`POST ${VM}/{}/runcommand`]: (world, request) => runCommand(world, request),
  "GET microsoft.compute/locations/{}/vmsizes": () =>
    json(200, {
      value: SIZES.map(([name, numberOfCores, memoryInMB, maxDataDiskCount]) => ({
        name,
        numberOfCores,
        memoryInMB,
        maxDataDiskCount,
        osDiskSizeInMB: 1_047_552,
        resourceDiskSizeInMB: 0,
      })),
    }),
};

const putExtension: ArmHandler = async (world, request) => {
  const body = bodyOf(request, extensionSchema);
  const vm = asVm(world.resources.get(parentId(request.id)));
  if (vm.inner.power !== "running") throw conflict("Cannot modify extensions in the VM when the VM is not running.");
  const failure = agentProblem(vm, `installing extension '${nameOf(request.id)}'`);
  const existing = world.resources.find(request.id);
  const operation = begin(world, request, vm.location, "operations", { failure });
  const { protectedSettings: _hidden, ...properties } = body.properties;
  const extension: Resource = {
    ...existing,
    id: existing?.id ?? request.id,
    location: vm.location,
    tags: body.tags,
    properties,
    inner: {},
    busyUntil: operation.doneAt,
    busyAs: "Creating",
    failed: operation.failed,
  };
  await world.state.commit([keep(extension), ...operation.entries]);
  return json(existing === undefined ? 201 : 200, render(extension, world.now()), operation.headers);
};

const runCommand: ArmHandler = async (world, request) => {
  const body = bodyOf(request, runCommandSchema);
  const vm = asVm(world.resources.get(request.id));
  if (vm.inner.power !== "running")
    throw conflict(
      `The operation requires the VM to be running (or set to run). VM '${nameOf(vm.id)}' is not running.`,
    );
  const failure = agentProblem(vm, `run command '${body.commandId}'`);
  const message = (stream: string) => ({
    code: `ComponentStatus/${stream}/succeeded`,
    level: "Info",
    displayStatus: "Provisioning succeeded",
    message:
      stream === "StdOut"
        ? `${body.commandId}: ${body.script.length} lines accepted; nothing runs in a simulated machine.`
        : "",
  });
  return accepted(
    world,
    [],
    begin(world, request, vm.location, "operations", {
      failure,
      result: { value: [message("StdOut"), message("StdErr")] },
    }),
  );
};

function agentProblem(vm: Vm, doing: string): OperationFailure | undefined {
  if (agentState(vm) === "ready") return undefined;
  return {
    status: 409,
    code: "VMAgentStatusCommunicationError",
    message: `VM '${nameOf(vm.id)}' has not reported status for VM agent or extensions while ${doing}. Verify that the OS is up and healthy, the VM has a running VM agent, and that it can establish outbound connections to Azure storage.`,
  };
}
