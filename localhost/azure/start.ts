// Puts the simulated Azure together: one state, one disk store, one socket, and the surfaces on it. Starting reads the
// data folder (or builds the estate into a new one); closing stops life first, then the socket, then the files.
import { randomBytes } from "node:crypto";
import { armSurface } from "./arm/arm-surface.ts";
import { scopeRoutes } from "./arm/groups-and-locks.ts";
import { Operations } from "./arm/operations.ts";
import { Resources } from "./arm/resources.ts";
import { roleAssignmentRoutes } from "./arm/role-assignments.ts";
import { Throttle } from "./arm/throttle.ts";
import type { ArmRoutes, World } from "./arm/world.ts";
import { AccessGrants } from "./blobs/access-grants.ts";
import { blobSurface } from "./blobs/blob-surface.ts";
import { classicRoutes } from "./classic/classic-arm.ts";
import { classicBlobSurface } from "./classic/classic-blobs.ts";
import { diskRoutes } from "./compute/disks.ts";
import { restorePointRoutes } from "./compute/restore-points.ts";
import { snapshotRoutes } from "./compute/snapshots.ts";
import { vanish } from "./compute/vanish.ts";
import { virtualMachineRoutes } from "./compute/virtual-machines.ts";
import { vmExtraRoutes } from "./compute/vm-extras.ts";
import { DiskStore } from "./disks/disk-store.ts";
import { buildEstate } from "./estate/build-estate.ts";
import type { Estate } from "./estate/estate-schema.ts";
import { controlSurface } from "./faults/control-surface.ts";
import { FaultPlan } from "./faults/fault-plan.ts";
import { listen } from "./http/listener.ts";
import { type FaultSource, requestListener, type Surface } from "./http/pipeline.ts";
import { identitySurface } from "./identity/identity-surface.ts";
import { principalsOf } from "./identity/principals.ts";
import { SigningKeys } from "./identity/signing-keys.ts";
import { Tokens } from "./identity/tokens.ts";
import { KeyStore } from "./keys/key-store.ts";
import { keysSurface } from "./keys/keys-surface.ts";
import { Life } from "./life/life.ts";
import { networkRoutes } from "./network/network.ts";
import { AzureState } from "./state/azure-state.ts";
import { storageRoutes } from "./storage/storage-accounts.ts";

export interface AzureOptions {
  /** 0 takes a free port. */
  readonly port: number;
  readonly dataFolder: string;
  readonly estate: Estate;
  /** The estate's file, for paths in it. */
  readonly estatePath?: string | undefined;
  /** Provider of Microsoft.RecoveryServices; wins over the estate's. */
  readonly upstream?: string | undefined;
  /** Scheme and host of Azurite's blob service; wins over the estate's. */
  readonly blobOrigin?: string | undefined;
  /** What managed-identity callers must send; kept from the first start if absent. */
  readonly identityHeader?: string | undefined;
  /** Told what its user should know. */
  readonly onNotice?: ((message: string) => void) | undefined;
  readonly onDefect?: ((message: string) => void) | undefined;
}

export interface RunningAzure {
  readonly port: number;
  readonly origin: string;
  readonly tenant: string;
  /** IDENTITY_ENDPOINT and IDENTITY_HEADER for a service that is to have the managed identity. */
  readonly identityEndpoint: string;
  readonly identityHeader: string;
  close(): Promise<void>;
}

const IDENTITY_HEADER = "secret/identity-header";

export async function startAzure(options: AzureOptions): Promise<RunningAzure> {
  const { estate } = options;
  const onDefect = options.onDefect ?? ((message: string) => console.error(`simulated Azure: ${message}`));
  const state = await AzureState.open(options.dataFolder);
  const disks = await DiskStore.open(state);
  const grants = new AccessGrants(state);
  const keys = new SigningKeys(state);
  await Promise.all([grants.prepare(), keys.prepare()]);
  const faults = new FaultPlan(state);
  const now = () => Date.now() + faults.skewMs();
  const address = { origin: "" };
  const world: World = {
    state,
    disks,
    grants,
    resources: new Resources(state),
    operations: new Operations(state, estate.operationMs, now),
    limits: estate.limits,
    pageSize: estate.pageSize,
    tenant: estate.tenant,
    operationFault: (call) => faults.operationFault(call),
    grantedShare: (call) => faults.grantedShare(call),
    dataOrigin: () => address.origin,
    blobOrigin: options.blobOrigin ?? estate.blobOrigin,
    now,
  };
  const isOther = (await buildEstate(world, estate, options.estatePath)) === "kept-another";
  if (isOther)
    options.onNotice?.(
      `${options.dataFolder} was built from another estate and keeps it; use a new --data folder for this one.`,
    );
  const identityHeader = await keptHeader(state, options.identityHeader);
  const principals = principalsOf(estate.principals);
  const tokens = new Tokens({ keys, principals, tenant: estate.tenant, issuerOrigin: () => address.origin, now });
  const life = new Life(world, estate.life.tickMs);
  const environment = () => ({
    origin: address.origin,
    tenant: estate.tenant,
    IDENTITY_ENDPOINT: `${address.origin}/msi/token`,
    IDENTITY_HEADER: identityHeader,
    issuer: tokens.issuer,
    keyVault: address.origin,
  });
  const surfaces: Surface[] = [
    blobSurface({ disks, grants, now }),
    controlSurface({ world, faults, keys, life, environment }),
    keysSurface({ store: new KeyStore(state, estate.keyVault, now), tokens, tenant: estate.tenant }),
    classicBlobSurface(world, tokens),
    identitySurface({ tokens, keys, principals, tenant: estate.tenant, identityHeader }),
    armSurface({
      world,
      tokens,
      routes: allRoutes(principals),
      throttle: new Throttle(estate.throttle),
      upstream: () => options.upstream ?? estate.upstream,
    }),
  ] as Surface[];
  const listener = await listen(
    options.port,
    requestListener(surfaces, {
      faults: faultSource(world, faults),
      log: { defect: onDefect },
      settled: () => state.settled(),
    }),
  ).catch(async (cause) => {
    await disks.close();
    await state.close();
    throw cause;
  });
  address.origin = listener.origin;
  if (estate.life.enabled)
    life.start((cause) => onDefect(`life: ${cause instanceof Error ? cause.stack : String(cause)}`));
  return {
    port: listener.port,
    origin: listener.origin,
    tenant: estate.tenant,
    identityEndpoint: `${listener.origin}/msi/token`,
    identityHeader,
    async close() {
      await life.stop();
      await listener.close();
      await disks.close();
      await state.close();
    },
  };
}

function allRoutes(principals: ReturnType<typeof principalsOf>): ArmRoutes {
  return {
    ...scopeRoutes,
    ...roleAssignmentRoutes(principals),
    ...diskRoutes,
    ...snapshotRoutes,
    ...restorePointRoutes,
    ...virtualMachineRoutes,
    ...vmExtraRoutes,
    ...storageRoutes,
    ...networkRoutes,
    ...classicRoutes,
  };
}

function faultSource(world: World, faults: FaultPlan): FaultSource {
  return {
    faultsFor: (surface, operation, call) => (surface === "control" ? [] : faults.faultsFor(surface, operation, call)),
    strike: async (fault, call) => {
      if (fault.kind === "snapshot-vanishes") await vanish(world, call);
      if (fault.kind === "operation-fails")
        faults.failOperation(call, { status: 409, code: fault.code, message: fault.message });
      if (fault.kind === "sas-expires-early") faults.shorten(call, fault.share);
    },
  };
}

async function keptHeader(state: AzureState, given: string | undefined): Promise<string> {
  const kept = state.document(IDENTITY_HEADER) as string | undefined;
  if (kept !== undefined && (given === undefined || given === kept)) return kept;
  const value = given ?? randomBytes(16).toString("hex");
  await state.commit([{ kind: "document", key: IDENTITY_HEADER, value }]);
  return value;
}
