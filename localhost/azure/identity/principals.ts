// Who may ask for tokens, and the roles each holds at which scope. The built-in ones are what a backup service and its
// tests need; an estate declares more. Role names are Azure's; what a role allows in ARM is decided here, coarsely.
import { createHash } from "node:crypto";
import { z } from "zod";

export const principalSchema = z.strictObject({
  clientId: z.string().min(1),
  /** Any secret will do if absent. */
  secret: z.string().min(1).optional(),
  objectId: z.guid().optional(),
  roles: z.array(z.strictObject({ role: z.string().min(1), scope: z.string().startsWith("/").default("/") })).min(1),
});

export type DeclaredPrincipal = z.infer<typeof principalSchema>;

export interface Principal {
  readonly clientId: string;
  readonly objectId: string;
  readonly secret: string | undefined;
  readonly roles: readonly { readonly role: string; readonly scope: string }[];
}

/** The identity that the managed-identity endpoint speaks for. */
export const MANAGED_IDENTITY = "managed-identity";

const BUILT_IN: readonly DeclaredPrincipal[] = [
  { clientId: "owner", roles: [{ role: "Owner", scope: "/" }] },
  { clientId: "contributor", roles: [{ role: "Backup Contributor", scope: "/" }] },
  { clientId: "operator", roles: [{ role: "Backup Operator", scope: "/" }] },
  { clientId: "reader", roles: [{ role: "Backup Reader", scope: "/" }] },
  {
    clientId: MANAGED_IDENTITY,
    roles: [
      { role: "Contributor", scope: "/" },
      { role: "Key Vault Crypto Officer", scope: "/" },
    ],
  },
];

export function principalsOf(declared: readonly DeclaredPrincipal[]): ReadonlyMap<string, Principal> {
  const principals = new Map<string, Principal>();
  for (const { clientId, objectId, secret, roles } of [...BUILT_IN, ...declared])
    principals.set(clientId.toLowerCase(), { clientId, objectId: objectId ?? objectIdOf(clientId), secret, roles });
  return principals;
}

/** Whether a caller with these roles may do this in ARM. `action` is for example `Microsoft.Compute/disks/write`. */
export function mayDo(principal: Principal, action: string, resourceId: string): boolean {
  return principal.roles.some(({ role, scope }) => isWithin(resourceId, scope) && roleAllows(role, action));
}

/** Whether a caller has any role at, above or below a scope: then it is listed for them. */
export function hasRoleIn(principal: Principal, scope: string): boolean {
  return principal.roles.some((held) => isWithin(scope, held.scope) || isWithin(held.scope, scope));
}

/** Whether an id is a scope or lies below it. */
export function isWithin(id: string, scope: string): boolean {
  const [lower, above] = [id.toLowerCase(), scope.toLowerCase()];
  return above === "/" || above === "" || lower === above || lower.startsWith(`${above}/`);
}

function roleAllows(role: string, action: string): boolean {
  if (role === "Owner" || role === "Contributor") return true;
  if (action.endsWith("/read")) return true;
  // What these roles may do to vaults the provider of Microsoft.RecoveryServices decides itself.
  if (role.startsWith("Backup ")) return action.startsWith("Microsoft.RecoveryServices/");
  return role === "Virtual Machine Contributor" && action.startsWith("Microsoft.Compute/");
}

/** The same client has the same object id on every machine. */
export function objectIdOf(clientId: string): string {
  const hex = createHash("sha256").update(`object-id:${clientId.toLowerCase()}`).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
