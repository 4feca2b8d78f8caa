// Key Vault's keys, as far as the official client needs to protect other keys: create, versions, rotate, disable, wrap and
// unwrap. The vault is this socket itself (`<origin>/keys/…`). Key material lives in the data folder's journal.
import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from "node:crypto";
import { promisify } from "node:util";
import { z } from "zod";
import { AzureError } from "../http/azure-error.ts";
import { type Answer, type Call, json, jsonBody } from "../http/call.ts";
import type { Route, Surface } from "../http/pipeline.ts";
import type { Principal } from "../identity/principals.ts";
import type { Tokens } from "../identity/tokens.ts";
import type { AzureState } from "../state/azure-state.ts";

export interface KeysParts {
  readonly state: AzureState;
  readonly tokens: Tokens;
  readonly tenant: string;
  readonly now: () => number;
}

interface KeyVersion {
  readonly version: string;
  readonly pem: string;
  readonly enabled: boolean;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly tags?: Record<string, string> | undefined;
}

const AUDIENCE = "https://vault.azure.net";
const KEY = "vault-key/";
/** A tag on a key that says how it can come back after it was deleted, as Azure spells it: no vault here is protected. */
const RECOVERY_TAG = "simulated-recovery-level";
const OPERATIONS = ["encrypt", "decrypt", "wrapKey", "unwrapKey"];
const makeKeyPair = promisify(generateKeyPair);

const createSchema = z.looseObject({
  kty: z.enum(["RSA", "RSA-HSM"]),
  key_size: z.union([z.literal(2048), z.literal(3072), z.literal(4096)]).default(2048),
  tags: z.record(z.string(), z.string()).optional(),
  attributes: z.looseObject({ enabled: z.boolean().default(true) }).default({ enabled: true }),
});
const updateSchema = z.looseObject({
  attributes: z.looseObject({ enabled: z.boolean().optional() }).default({}),
  tags: z.record(z.string(), z.string()).optional(),
});
const cryptSchema = z.looseObject({ alg: z.enum(["RSA-OAEP", "RSA-OAEP-256", "RSA1_5"]), value: z.string().min(1) });

type Work = (parts: KeysParts, call: Call) => Promise<Answer>;

export function keysSurface(parts: KeysParts): Surface<Principal> {
  return {
    name: "keys",
    claims: (call) => call.segments[0] === "keys",
    authenticate: (call) => authenticate(parts, call),
    route: (call) => routeOf(parts, call),
    refusal: (_call, error) => {
      const inner = error.extras.target === undefined ? {} : { innererror: { code: error.extras.target } };
      return json(
        error.status,
        { error: { code: error.code, message: error.message, ...inner } },
        { ...error.extras.headers },
      );
    },
  };
}

async function authenticate({ tokens, tenant }: KeysParts, call: Call): Promise<Principal> {
  try {
    const caller = await tokens.check(call, [AUDIENCE]);
    if (caller.roles.some(({ role }) => role === "Owner" || role.startsWith("Key Vault "))) return caller;
  } catch (thrown) {
    if (!(thrown instanceof AzureError)) throw thrown;
    throw new AzureError(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.", {
      headers: { "WWW-Authenticate": `Bearer authorization="${call.origin}/${tenant}", resource="${AUDIENCE}"` },
    });
  }
  throw new AzureError(403, "Forbidden", "Caller is not authorized to perform action on resource.", {
    target: "ForbiddenByRbac",
  });
}

function routeOf(parts: KeysParts, call: Call): Route<Principal> {
  const [, name, second, third] = call.segments;
  const found = workFor(call.method, name, second, third);
  if (call.query.get("api-version") === undefined)
    throw new AzureError(400, "BadParameter", "The query parameter api-version is required.");
  if (found === undefined) throw new AzureError(404, "NotFound", "The vault does not offer this operation.");
  return { operation: `${call.method} keys/${found[0]}`, handle: (asked) => found[1](parts, asked) };
}

function workFor(
  method: string,
  name: string | undefined,
  second: string | undefined,
  third: string | undefined,
): [string, Work] | undefined {
  if (name === undefined) return method === "GET" ? ["list", listKeys] : undefined;
  if (method === "POST" && second === "create") return ["create", createKey];
  if (method === "POST" && second === "rotate") return ["rotate", rotateKey];
  if (method === "GET" && second === "versions") return ["versions", listVersions];
  if (method === "GET" && third === undefined) return ["get", getKey];
  if (method === "PATCH" && third === undefined) return ["update", updateKey];
  if (method === "DELETE" && second === undefined) return ["delete", deleteKey];
  const operation = OPERATIONS.find((one) => one.toLowerCase() === third?.toLowerCase());
  return method === "POST" && operation !== undefined
    ? [operation, (parts, call) => crypt(parts, call, operation)]
    : undefined;
}

const getKey: Work = async (parts, call) =>
  json(200, bundle(call, nameIn(call), versionOf(parts, nameIn(call), call.segments[2])));

const createKey: Work = async (parts, call) => {
  const body = await parsed(call, createSchema);
  return json(
    200,
    bundle(
      call,
      nameIn(call),
      await addVersion(parts, nameIn(call), body.key_size, body.attributes.enabled, body.tags),
    ),
  );
};

const rotateKey: Work = async (parts, call) => {
  const last = versionOf(parts, nameIn(call), undefined);
  const bits = createPublicKey(last.pem).asymmetricKeyDetails?.modulusLength ?? 2048;
  return json(200, bundle(call, nameIn(call), await addVersion(parts, nameIn(call), bits, true, last.tags)));
};

const listKeys: Work = async ({ state }, call) => {
  const names = [...state.documents()].flatMap(([key]) => (key.startsWith(KEY) ? [key.slice(KEY.length)] : []));
  return json(200, {
    value: names.map((name) => ({
      kid: `${call.origin}/keys/${name}`,
      attributes: attributesOf((state.document(KEY + name) as KeyVersion[])[0] as KeyVersion),
    })),
    nextLink: null,
  });
};

const listVersions: Work = async (parts, call) => {
  const name = nameIn(call);
  versionOf(parts, name, undefined);
  return json(200, {
    value: versionsOf(parts, name).map((version) => ({
      kid: kidOf(call, name, version),
      attributes: attributesOf(version),
    })),
    nextLink: null,
  });
};

const updateKey: Work = async (parts, call) => {
  const body = await parsed(call, updateSchema);
  const name = nameIn(call);
  const chosen = versionOf(parts, name, call.segments[2]);
  const changed = {
    ...chosen,
    enabled: body.attributes.enabled ?? chosen.enabled,
    tags: body.tags ?? chosen.tags,
    updatedAt: parts.now(),
  };
  const value = versionsOf(parts, name).map((one) => (one.version === chosen.version ? changed : one));
  await parts.state.commit([{ kind: "document", key: KEY + name, value }]);
  return json(200, bundle(call, name, changed));
};

const deleteKey: Work = async (parts, call) => {
  const name = nameIn(call);
  const last = versionOf(parts, name, undefined);
  await parts.state.commit([{ kind: "document-removed", key: KEY + name }]);
  return json(200, {
    recoveryId: `${call.origin}/deletedkeys/${name}`,
    deletedDate: Math.floor(parts.now() / 1000),
    ...bundle(call, name, last),
  });
};

async function crypt(parts: KeysParts, call: Call, operation: string): Promise<Answer> {
  const { alg, value } = await parsed(call, cryptSchema);
  const name = nameIn(call);
  const version = versionOf(parts, name, call.segments[2]);
  if (!version.enabled)
    throw new AzureError(403, "Forbidden", `Operation ${operation} is not allowed on a disabled key.`, {
      target: "KeyDisabled",
    });
  const padding = alg === "RSA1_5" ? constants.RSA_PKCS1_PADDING : constants.RSA_PKCS1_OAEP_PADDING;
  const oaepHash = alg === "RSA-OAEP-256" ? "sha256" : "sha1";
  const bytes = Buffer.from(value, "base64url");
  try {
    const result =
      operation === "wrapKey" || operation === "encrypt"
        ? publicEncrypt({ key: createPublicKey(version.pem), padding, oaepHash }, bytes)
        : privateDecrypt({ key: createPrivateKey(version.pem), padding, oaepHash }, bytes);
    return json(200, { kid: kidOf(call, name, version), value: result.toString("base64url") });
  } catch {
    throw new AzureError(
      400,
      "BadParameter",
      "The parameter is incorrect: the value cannot be processed with this key and algorithm.",
    );
  }
}

async function addVersion(
  { state, now }: KeysParts,
  name: string,
  bits: number,
  enabled: boolean,
  tags: Record<string, string> | undefined,
): Promise<KeyVersion> {
  if (!/^[0-9a-zA-Z-]{1,127}$/.test(name))
    throw new AzureError(400, "BadParameter", `The request URI contains an invalid name: ${name}.`);
  const { privateKey } = await makeKeyPair("rsa", { modulusLength: bits });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const version: KeyVersion = {
    version: randomBytes(16).toString("hex"),
    pem,
    enabled,
    tags,
    createdAt: now(),
    updatedAt: now(),
  };
  const older = (state.document(KEY + name) as KeyVersion[] | undefined) ?? [];
  await state.commit([{ kind: "document", key: KEY + name, value: [version, ...older] }]);
  return version;
}

function versionsOf({ state }: KeysParts, name: string): KeyVersion[] {
  return (state.document(KEY + name) as KeyVersion[] | undefined) ?? [];
}

function versionOf(parts: KeysParts, name: string, wanted: string | undefined): KeyVersion {
  const versions = versionsOf(parts, name);
  const found =
    wanted === undefined || wanted === ""
      ? versions[0]
      : versions.find(({ version }) => version === wanted.toLowerCase());
  if (found === undefined)
    throw new AzureError(
      404,
      "KeyNotFound",
      `A key with (name/id) ${name}${wanted === undefined ? "" : `/${wanted}`} was not found in this key vault. If you recently deleted this key you may be able to recover it using the correct recovery command.`,
    );
  return found;
}

function bundle(call: Call, name: string, version: KeyVersion) {
  const { n, e } = createPublicKey(version.pem).export({ format: "jwk" });
  const key = {
    kid: kidOf(call, name, version),
    kty: "RSA",
    key_ops: ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"],
    n,
    e,
  };
  return { key, attributes: attributesOf(version), ...(version.tags === undefined ? {} : { tags: version.tags }) };
}

function attributesOf({ enabled, createdAt, updatedAt, tags }: KeyVersion) {
  const seconds = (ms: number) => Math.floor(ms / 1000);
  return {
    enabled,
    created: seconds(createdAt),
    updated: seconds(updatedAt),
    recoveryLevel: tags?.[RECOVERY_TAG] ?? "Purgeable",
    recoverableDays: 0,
    exportable: false,
  };
}

function kidOf(call: Call, name: string, { version }: KeyVersion): string {
  return `${call.origin}/keys/${name}/${version}`;
}

function nameIn(call: Call): string {
  return call.segments[1] ?? "";
}

async function parsed<Schema extends z.ZodType>(call: Call, schema: Schema): Promise<z.infer<Schema>> {
  const result = schema.safeParse(await jsonBody(call));
  if (result.success) return result.data;
  throw new AzureError(
    400,
    "BadParameter",
    `The request body is invalid: ${result.error.issues[0]?.message ?? "malformed"}.`,
  );
}
