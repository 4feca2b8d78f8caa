// How consistent a restore point of a machine is, by what was asked, its power state, its agent and how its freeze goes.
import type { OperationFailure } from "../arm/operations.ts";
import { nameOf } from "../arm/target.ts";
import { agentState, type Vm } from "./vm-model.ts";

interface Consistency {
  readonly mode?: string;
  readonly failure?: OperationFailure;
}

export function consistencyOf(vm: Vm, asked: string | undefined): Consistency {
  if (asked === "CrashConsistent" || vm.inner.power !== "running") return { mode: "CrashConsistent" };
  if (agentState(vm) !== "ready")
    return {
      failure: {
        status: 409,
        code: "VMAgentStatusCommunicationError",
        message: `VM agent of '${nameOf(vm.id)}' is unable to communicate with compute service. Ensure the VM agent is installed and running, or ask for a crash-consistent restore point.`,
      },
    };
  const windows = vm.properties.storageProfile.osDisk.osType === "Windows";
  switch (vm.inner.freeze ?? "succeeds") {
    case "fails":
      return {
        failure: {
          status: 409,
          code: windows ? "OsSnapshotWriteError" : "ScriptsExecutionFailed",
          message: windows
            ? "Snapshot operation failed due to VSS writers in bad state."
            : "The pre-script or post-script of the VM failed.",
        },
      };
    case "degrades":
      return { mode: windows ? "FileSystemConsistent" : "CrashConsistent" };
    default:
      return { mode: windows || vm.inner.freezeScripts === true ? "ApplicationConsistent" : "FileSystemConsistent" };
  }
}
