// The virtual machines that can be protected, as the platform shows them. Reading only; nothing here changes a machine.
// Failures: "throttled" and "unavailable" (try again later), "denied". A machine that is not there is undefined.

export interface Machines {
  /** All machines of a subscription, Resource Manager and Classic, page by page. */
  list(subscriptionId: string): AsyncIterable<readonly MachineSummary[]>;

  read(machineId: string): Promise<Machine | undefined>;
}

export interface MachineSummary {
  /** ARM id in the platform's own casing. */
  readonly id: string;
  readonly kind: MachineKind;
  readonly name: string;
  readonly resourceGroup: string;
  readonly location: string;
}

export type MachineKind = "resource-manager" | "classic";

export interface Machine extends MachineSummary {
  /** The platform's own id of this very machine: another one under the same name has another. */
  readonly vmId: string;
  readonly sizeName: string;
  readonly osType: "Windows" | "Linux";
  /** PowerState without its prefix, lower case: running, stopped, deallocated, starting, … */
  readonly power: string;
  /** Lower case: succeeded, failed, updating, … */
  readonly provisioning: string;
  readonly agent: MachineAgent;
  readonly securityType: string;
  readonly zones: readonly string[];
  readonly disks: readonly MachineDisk[];
  /** What the platform answered, as JSON: kept with each point, so that the machine can be built again. */
  readonly configuration: string;
}

export interface MachineAgent {
  readonly state: "ready" | "not-ready" | "absent";
  readonly version: string;
}

export interface MachineDisk {
  /** -1 is the disk with the operating system. */
  readonly lun: number;
  readonly name: string;
  /** ARM id of a managed disk, or the URL of a page blob. */
  readonly diskId: string;
  readonly sizeBytes: number;
  readonly skuName: string;
  /** The image it was made from, if any: disks of one image share most of their blocks. */
  readonly imageReference: string | undefined;
  /** False when its bytes cannot be read over the network that the service uses. */
  readonly isReadable: boolean;
}
