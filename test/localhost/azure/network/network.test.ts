import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GROUP, POLL, SUBSCRIPTION, startTestAzure, type TestAzure } from "../support/azure.ts";

// There is no network client among the dependencies: networks are asked for over the wire, machines through their client.
const LOCATION = "westeurope";
const NETWORK = `${GROUP}/providers/Microsoft.Network`;
let azure: TestAzure;
let compute: ReturnType<TestAzure["compute"]>;

beforeAll(async () => {
  azure = await startTestAzure();
  compute = azure.compute();
});

afterAll(async () => {
  expect(azure.defects).toEqual([]);
  await azure.stop();
});

const nicId = (name: string) => `${NETWORK}/networkInterfaces/${name}`;

async function networkInterface(name: string, more: object = {}, configuration: object = {}): Promise<string> {
  const subnet = { id: `${NETWORK}/virtualNetworks/demo-vnet/subnets/default` };
  const ipConfigurations = [{ name: "ipconfig1", properties: { subnet, ...configuration } }];
  const body = { location: LOCATION, properties: { ipConfigurations, ...more } };
  expect((await azure.arm("PUT", nicId(name), body)).status).toBe(201);
  return nicId(name);
}

async function machine(name: string, networkInterfaces: object[]) {
  const empty = { location: LOCATION, diskSizeGB: 1, creationData: { createOption: "Empty" } };
  const { id = "" } = await compute.disks.createOrUpdate("demo", `${name}-os`, empty, POLL);
  return compute.virtualMachines.createOrUpdate(
    "demo",
    name,
    {
      location: LOCATION,
      hardwareProfile: { vmSize: "Standard_D2s_v5" },
      storageProfile: { osDisk: { osType: "Linux", createOption: "Attach", managedDisk: { id } } },
      networkProfile: { networkInterfaces },
    },
    POLL,
  );
}

const userOf = async (id: string) =>
  ((await azure.arm("GET", id)).body.properties as { virtualMachine?: { id: string } }).virtualMachine?.id;

const refused = { status: 400, code: "NicInUse" };

describe("network interfaces", () => {
  it("of a machine are not deleted, nor given to another, until the machine lets them go", async () => {
    const [first, second] = [await networkInterface("first"), await networkInterface("second")];
    const vm = await machine("holder", [{ id: first, primary: true }]);
    expect(await userOf(first)).toBe(vm.id);
    expect(await azure.arm("DELETE", first)).toMatchObject(refused);
    expect((await azure.arm("DELETE", first)).body.error?.message).toContain(`is used by existing resource ${vm.id}`);
    await expect(machine("thief", [{ id: first }])).rejects.toMatchObject({ statusCode: 400, code: "NicInUse" });
    // Whose interface it is, is not for a client to say.
    await networkInterfaceAgain("first");
    expect(await userOf(first)).toBe(vm.id);
    await compute.virtualMachines.update(
      "demo",
      "holder",
      { networkProfile: { networkInterfaces: [{ id: second }] } },
      POLL,
    );
    expect([await userOf(first), await userOf(second)]).toEqual([undefined, vm.id]);
    expect((await azure.arm("DELETE", first)).status).toBe(202);
    expect(await azure.arm("DELETE", second)).toMatchObject(refused);
    await compute.virtualMachines.delete("demo", "holder", POLL);
    expect(await userOf(second)).toBeUndefined();
    expect((await azure.arm("DELETE", second)).status).toBe(202);
  });

  it("go with their machine when they are to", async () => {
    const id = await networkInterface("leaving");
    await machine("leaver", [{ id, deleteOption: "Delete" }]);
    await compute.virtualMachines.delete("demo", "leaver", POLL);
    expect((await azure.arm("GET", id)).status).toBe(404);
  });

  it("of the estate's machines are in use from the beginning", async () => {
    expect(await azure.arm("DELETE", nicId("web-01-nic"))).toMatchObject(refused);
  });

  it("hold the network, the address and the security group they use, and need them to exist", async () => {
    const body = { location: LOCATION, properties: {} };
    const [group, address] = [`${NETWORK}/networkSecurityGroups/guard`, `${NETWORK}/publicIPAddresses/front`];
    for (const id of [group, address]) expect((await azure.arm("PUT", id, body)).status).toBe(201);
    const id = await networkInterface(
      "user",
      { networkSecurityGroup: { id: group } },
      { publicIPAddress: { id: address } },
    );
    const network = `${NETWORK}/virtualNetworks/demo-vnet`;
    expect(await azure.arm("DELETE", network)).toMatchObject({ status: 400, code: "InUseSubnetCannotBeDeleted" });
    const other = { location: LOCATION, properties: { subnets: [{ name: "other" }] } };
    expect(await azure.arm("PUT", network, other)).toMatchObject({ status: 400, code: "InUseSubnetCannotBeDeleted" });
    expect(await azure.arm("DELETE", address)).toMatchObject({ status: 400, code: "PublicIPAddressCannotBeDeleted" });
    expect(await azure.arm("DELETE", group)).toMatchObject({
      status: 400,
      code: "InUseNetworkSecurityGroupCannotBeDeleted",
    });
    expect((await azure.arm("DELETE", id)).status).toBe(202);
    for (const unused of [group, address]) expect((await azure.arm("DELETE", unused)).status).toBe(202);
    const dangling = { networkSecurityGroup: { id: group } };
    expect(await azure.arm("PUT", nicId("dangling"), { location: LOCATION, properties: dangling })).toMatchObject({
      status: 400,
      code: "InvalidResourceReference",
    });
  });

  it("leave with their group, unless a machine of another group holds them", async () => {
    const group = `/subscriptions/${SUBSCRIPTION}/resourceGroups/spare`;
    await azure.arm("PUT", group, { location: LOCATION });
    const id = `${group}/providers/Microsoft.Network/networkInterfaces/lent`;
    await azure.arm("PUT", id, { location: LOCATION, properties: {} });
    const vm = await machine("borrower", [{ id }]);
    expect(await azure.arm("DELETE", group)).toMatchObject(refused);
    await compute.virtualMachines.delete("demo", "borrower", POLL);
    expect((await azure.arm("DELETE", group)).status).toBe(202);
    expect((await azure.arm("GET", id)).code).toBe("ResourceGroupNotFound");
    expect(vm.id).toBeDefined();
  });
});

async function networkInterfaceAgain(name: string): Promise<void> {
  const body = { location: LOCATION, properties: { virtualMachine: { id: "/nobody" } } };
  expect((await azure.arm("PUT", nicId(name), body)).status).toBe(200);
}
