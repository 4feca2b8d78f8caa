// Role assignments and definitions, read from the principals; there is nothing to change. Definitions have Azure's ids.
import { guidOf } from "../compute/disk-model.ts";
import { AzureError } from "../http/azure-error.ts";
import { json } from "../http/call.ts";
import { isWithin, type Principal } from "../identity/principals.ts";
import { nameOf } from "./target.ts";
import { type ArmHandler, type ArmRequest, type ArmRoutes, page } from "./world.ts";

const ROLE_IDS: Readonly<Record<string, string>> = {
  Owner: "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
  Contributor: "b24988ac-6180-42a0-ab88-20f7382dd24c",
  Reader: "acdd72a7-3385-48ef-bd42-f606fba81ae7",
  "Backup Contributor": "5e467623-bb1f-42f4-a55d-6e525e11384b",
  "Backup Operator": "00c29273-979b-4161-815c-10b084fb9324",
  "Backup Reader": "a795c7a0-d4a2-40c1-ae25-d81f01202912",
  "Virtual Machine Contributor": "9980e02c-c2be-4d73-94e8-173b1dc7cf3c",
  "Key Vault Crypto Officer": "14b46e9e-c2b7-41b4-b07b-48a6ebf60603",
  "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
};

export function roleAssignmentRoutes(principals: ReadonlyMap<string, Principal>): ArmRoutes {
  const roles = new Set([
    ...Object.keys(ROLE_IDS),
    ...[...principals.values()].flatMap((one) => one.roles.map(({ role }) => role)),
  ]);
  return {
    "GET microsoft.authorization/roleassignments": listAssignments(principals),
    "GET microsoft.authorization/roledefinitions": (world, request) => {
      const wanted = /roleName eq '([^']+)'/i.exec(request.call.query.get("$filter") ?? "")?.[1];
      const found = [...roles].filter((role) => wanted === undefined || role === wanted);
      return page(world, request, found, (role) => showDefinition(request, role));
    },
    "GET microsoft.authorization/roledefinitions/{}": (_world, request) => {
      const found = [...roles].find((role) => idOf(role) === nameOf(request.id).toLowerCase());
      if (found === undefined)
        throw new AzureError(
          404,
          "RoleDefinitionDoesNotExist",
          `The specified role definition with ID '${nameOf(request.id)}' does not exist.`,
        );
      return json(200, showDefinition(request, found));
    },
  };
}

/** Assignments at the scope of the path, above it, and (without `atScope()`) below it. */
function listAssignments(principals: ReadonlyMap<string, Principal>): ArmHandler {
  return (world, request) => {
    const filter = request.call.query.get("$filter") ?? "";
    const wanted = /(?:principalId eq|assignedTo\()\s*'([^']+)'/i.exec(filter)?.[1]?.toLowerCase();
    const here = request.target.scope;
    const counts = (scope: string) => isWithin(here, scope) || (!/atScope\(\)/i.test(filter) && isWithin(scope, here));
    const items = [...principals.values()]
      .filter(({ objectId }) => wanted === undefined || objectId.toLowerCase() === wanted)
      .flatMap(({ objectId, roles }) => roles.map(({ role, scope }) => ({ objectId, role, scope })))
      .filter(({ scope }) => counts(scope));
    return page(world, request, items, ({ objectId, role, scope }) => {
      const name = guidOf("assignment", objectId, role, scope);
      return {
        id: `${scope === "/" ? "" : scope}/providers/Microsoft.Authorization/roleAssignments/${name}`,
        name,
        type: "Microsoft.Authorization/roleAssignments",
        properties: {
          roleDefinitionId: definitionId(request, role),
          principalId: objectId,
          principalType: "ServicePrincipal",
          scope,
        },
      };
    });
  };
}

function showDefinition(request: ArmRequest, role: string): unknown {
  return {
    id: definitionId(request, role),
    name: idOf(role),
    type: "Microsoft.Authorization/roleDefinitions",
    properties: { roleName: role, type: "BuiltInRole", assignableScopes: ["/"] },
  };
}

function definitionId(request: ArmRequest, role: string): string {
  const scope = request.subscription === "" ? "" : `/subscriptions/${request.subscription}`;
  return `${scope}/providers/Microsoft.Authorization/roleDefinitions/${idOf(role)}`;
}

function idOf(role: string): string {
  return ROLE_IDS[role] ?? guidOf("role", role);
}
