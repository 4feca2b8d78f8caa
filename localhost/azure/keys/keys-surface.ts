// Key Vault's keys over HTTP, as far as the official client needs to protect other keys: create, versions, rotate, disable,
// delete, recover, purge, wrap and unwrap. The vault is this socket itself (`<origin>/keys/…`). Key material lives in the
// data folder's journal.
import { constants, createPrivateKey, createPublicKey, privateDecrypt, publicEncrypt } from "node:crypto";
import { z } from "zod";
import { AzureError } from "../http/azure-error.ts";
import { type Answer, type Call, json, jsonBody } from "../http/call.ts";
import type { Route, Surface } from "../http/pipeline.ts";
import type { Principal } from "../identity/principals.ts";
import type { Tokens } from "../identity/tokens.ts";
import type { Deletion, KeyStore, KeyVersion } from "./key-store.ts";

export interface KeysParts {
  readonly store: KeyStore;
  readonly tokens: Tokens;
  readonly tenant: string;
}

const AUDIENCE = "https://vault.azure.net";
const OPERATIONS = ["encrypt", "decrypt", "wrapKey", "unwrapKey"];
/** `2015-06-01`, `2016-10-01`, `7.0` to `7.6` with their previews, and dates again from 2025 on. */
const API_VERSION = /^(2015-06-01|2016-10-01|7\.[0-6](-preview(\.\d)?)?|202[5-7]-\d{2}-\d{2}(-preview)?)$/;

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
    claims: (call) => call.segments[0] === "keys" || call.segments[0] === "deletedkeys",
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
  const found = call.segments[0] === "keys" ? keyWork(call) : deletedKeyWork(call);
  const version = call.query.get("api-version");
  if (version === undefined) throw new AzureError(400, "BadParameter", "The query parameter api-version is required.");
  if (!API_VERSION.test(version))
    throw new AzureError(
      400,
      "BadParameter",
      `The specified version (${version}) is not recognized. Consider using the latest supported version (7.6).`,
    );
  if (found === undefined) throw new AzureError(404, "NotFound", "The vault does not offer this operation.");
  return { operation: `${call.method} ${found[0]}`, handle: (asked) => found[1](parts, asked) };
}

function keyWork({ method, segments: [, name, second, third] }: Call): [string, Work] | undefined {
  if (name === undefined) return method === "GET" ? ["keys/list", listKeys] : undefined;
  if (method === "POST" && second === "create") return ["keys/create", createKey];
  if (method === "POST" && second === "rotate") return ["keys/rotate", rotateKey];
  if (method === "GET" && second === "versions") return ["keys/versions", listVersions];
  if (method === "GET" && third === undefined) return ["keys/get", getKey];
  if (method === "PATCH" && third === undefined) return ["keys/update", updateKey];
  if (method === "DELETE" && second === undefined) return ["keys/delete", deleteKey];
  const operation = OPERATIONS.find((one) => one.toLowerCase() === third?.toLowerCase());
  return method === "POST" && operation !== undefined
    ? [`keys/${operation}`, (parts, call) => crypt(parts, call, operation)]
    : undefined;
}

function deletedKeyWork({ method, segments: [, name, second] }: Call): [string, Work] | undefined {
  if (name === undefined) return method === "GET" ? ["deletedkeys/list", listDeletedKeys] : undefined;
  if (method === "GET" && second === undefined) return ["deletedkeys/get", getDeletedKey];
  if (method === "DELETE" && second === undefined) return ["deletedkeys/purge", purgeKey];
  return method === "POST" && second === "recover" ? ["deletedkeys/recover", recoverKey] : undefined;
}

const getKey: Work = async (parts, call) =>
  json(200, bundle(parts, call, parts.store.version(nameIn(call), call.segments[2])));

const createKey: Work = async (parts, call) => {
  const { key_size: bits, attributes, tags } = await parsed(call, createSchema);
  return json(200, bundle(parts, call, await parts.store.add(nameIn(call), bits, attributes.enabled, tags)));
};

const rotateKey: Work = async (parts, call) => json(200, bundle(parts, call, await parts.store.rotate(nameIn(call))));

const listKeys: Work = async (parts, call) => {
  const value = parts.store.names().map((name) => ({
    kid: `${call.origin}/keys/${name}`,
    attributes: attributesOf(parts, parts.store.version(name, undefined)),
  }));
  return json(200, { value, nextLink: null });
};

const listVersions: Work = async (parts, call) => {
  parts.store.version(nameIn(call), undefined);
  const value = parts.store.versions(nameIn(call)).map((version) => ({
    kid: kidOf(call, version),
    attributes: attributesOf(parts, version),
  }));
  return json(200, { value, nextLink: null });
};

const updateKey: Work = async (parts, call) => {
  const { attributes, tags } = await parsed(call, updateSchema);
  const to = { enabled: attributes.enabled, tags };
  return json(200, bundle(parts, call, await parts.store.change(nameIn(call), call.segments[2], to)));
};

const deleteKey: Work = async (parts, call) => {
  const { newest, deletion } = await parts.store.delete(nameIn(call));
  return json(200, { ...deletionOf(call, nameIn(call), deletion), ...bundle(parts, call, newest) });
};

const listDeletedKeys: Work = async (parts, call) => {
  const value = parts.store.deletedNames().map((name) => {
    const { newest, deletion } = parts.store.deleted(name);
    const attributes = attributesOf(parts, newest);
    return { kid: `${call.origin}/keys/${name}`, attributes, ...deletionOf(call, name, deletion) };
  });
  return json(200, { value, nextLink: null });
};

const getDeletedKey: Work = async (parts, call) => {
  const { newest, deletion } = parts.store.deleted(nameIn(call));
  return json(200, { ...deletionOf(call, nameIn(call), deletion), ...bundle(parts, call, newest) });
};

const purgeKey: Work = async (parts, call) => {
  await parts.store.purge(nameIn(call));
  return { status: 204 };
};

const recoverKey: Work = async (parts, call) => json(200, bundle(parts, call, await parts.store.recover(nameIn(call))));

async function crypt(parts: KeysParts, call: Call, operation: string): Promise<Answer> {
  const { alg, value } = await parsed(call, cryptSchema);
  const version = parts.store.version(nameIn(call), call.segments[2]);
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
    return json(200, { kid: kidOf(call, version), value: result.toString("base64url") });
  } catch {
    throw new AzureError(
      400,
      "BadParameter",
      "The parameter is incorrect: the value cannot be processed with this key and algorithm.",
    );
  }
}

function bundle(parts: KeysParts, call: Call, version: KeyVersion) {
  const { n, e } = createPublicKey(version.pem).export({ format: "jwk" });
  const key = {
    kid: kidOf(call, version),
    kty: "RSA",
    key_ops: ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"],
    n,
    e,
  };
  const { tags } = version;
  return { key, attributes: attributesOf(parts, version), ...(tags === undefined ? {} : { tags }) };
}

function attributesOf({ store }: KeysParts, { enabled, createdAt, updatedAt }: KeyVersion) {
  return {
    enabled,
    created: seconds(createdAt),
    updated: seconds(updatedAt),
    ...store.recovery(),
    exportable: false,
  };
}

function deletionOf(call: Call, name: string, deletion: Deletion | undefined) {
  if (deletion === undefined) return {};
  return {
    recoveryId: `${call.origin}/deletedkeys/${name}`,
    deletedDate: seconds(deletion.deletedAt),
    scheduledPurgeDate: seconds(deletion.purgedAt),
  };
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}

function kidOf(call: Call, { version }: KeyVersion): string {
  return `${call.origin}/keys/${nameIn(call)}/${version}`;
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
