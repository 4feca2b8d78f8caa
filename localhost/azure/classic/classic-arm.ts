// Classic machines and storage accounts as ARM shows them: enough to discover them, to read where their disks are, and to
// start and stop them. Their disks are page blobs (classic-blobs.ts).

import { keep, type Resource, render } from "../arm/resources.ts";
import { type ArmHandler, type ArmRoutes, accepted, begin, listOf, type World } from "../arm/world.ts";
import { json } from "../http/call.ts";

export const CLASSIC_VMS = "Microsoft.ClassicCompute/virtualMachines";
export const CLASSIC_DOMAINS = "Microsoft.ClassicCompute/domainNames";
export const CLASSIC_ACCOUNTS = "Microsoft.ClassicStorage/storageAccounts";

export interface ClassicDisk {
  readonly blob: string;
  readonly volume: number;
}

const VM = CLASSIC_VMS.toLowerCase();

export const classicRoutes: ArmRoutes = {
  [`GET ${VM}`]: listOf(CLASSIC_VMS, showVm),
  [`GET ${VM}/{}`]: (world, request) => json(200, showVm(world, world.resources.get(request.id))),
  [`POST ${VM}/{}/start`]: power("running"),
  [`POST ${VM}/{}/shutdown`]: power("stopped"),
  [`GET ${CLASSIC_DOMAINS.toLowerCase()}`]: listOf(CLASSIC_DOMAINS),
  [`GET ${CLASSIC_DOMAINS.toLowerCase()}/{}`]: (world, request) =>
    json(200, render(world.resources.get(request.id), world.now())),
  [`GET ${CLASSIC_ACCOUNTS.toLowerCase()}`]: listOf(CLASSIC_ACCOUNTS, showAccount),
  [`GET ${CLASSIC_ACCOUNTS.toLowerCase()}/{}`]: (world, request) =>
    json(200, showAccount(world, world.resources.get(request.id))),
};

function power(to: "running" | "stopped"): ArmHandler {
  return async (world, request) => {
    const vm = world.resources.get(request.id);
    const operation = begin(world, request, vm.location, "operations");
    return accepted(world, [keep({ ...vm, inner: { ...vm.inner, power: to } })], operation);
  };
}

function showVm(world: World, vm: Resource): unknown {
  const runs = vm.inner.power === "running";
  const disks = vm.inner.disks as readonly ClassicDisk[];
  const account = vm.inner.account as { id: string; name: string };
  const shown = disks.map(({ blob }, index) => ({
    diskName: blob.replace(/\.vhd$/, ""),
    caching: index === 0 ? "ReadWrite" : "None",
    ...(index === 0 ? { operatingSystem: vm.inner.os } : { lun: index - 1 }),
    ioType: "Standard",
    vhdUri: `${world.dataOrigin()}/${account.name}/vhds/${blob}`,
    storageAccount: { id: account.id, name: account.name, type: CLASSIC_ACCOUNTS },
  }));
  return render(vm, world.now(), {
    instanceView: {
      status: runs ? "ReadyRole" : "StoppedDeallocated",
      powerState: runs ? "Started" : "Stopped",
      fullyQualifiedDomainName: `${String(vm.inner.domain)}.cloudapp.net`,
      ...(runs ? { guestAgentStatus: { guestAgentVersion: vm.inner.agentVersion, status: "Ready" } } : {}),
    },
    storageProfile: { operatingSystemDisk: shown[0], dataDisks: shown.slice(1) },
  });
}

function showAccount(world: World, account: Resource): unknown {
  const name = account.id.split("/").at(-1);
  return render(account, world.now(), {
    status: "Created",
    endpoints: [`${world.dataOrigin()}/${name}/`],
    accountType: "Standard-LRS",
  });
}
