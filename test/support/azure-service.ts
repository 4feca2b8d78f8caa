// A simulated Azure in this process, and the service's own adapters for it, as the machine's managed identity.

import { inspect } from "node:util";
import type { EstateInput } from "../../localhost/azure/estate/estate-schema.ts";
import { connectArm } from "../../src/azure/arm.ts";
import type { RetryLimits } from "../../src/azure/bounded-retries.ts";
import { managedIdentity } from "../../src/azure/credentials.ts";
import { startTestAzure, testEstate } from "../localhost/azure/support/azure.ts";

/** As many repeats as in production, without their waits. */
export const QUICK: RetryLimits = { maxRetries: 3, firstDelayMs: 1, longestWaitMs: 2_000 };

export async function startServiceAzure(estate: Partial<EstateInput> = {}) {
  const azure = await startTestAzure(testEstate(estate));
  process.env.IDENTITY_ENDPOINT = azure.identityEndpoint;
  process.env.IDENTITY_HEADER = azure.identityHeader;
  const credential = managedIdentity();
  return {
    ...azure,
    credential,
    /** Another one is another process: it shares nothing. */
    connect: (retries: RetryLimits = QUICK) => connectArm({ armUrl: azure.origin, credential, retries }),
    fault: (name: string, fault: object, where: object = {}) =>
      azure.control("PUT", "faults", { name, fault, ...where }),
    async noFaults(): Promise<void> {
      await azure.control("DELETE", "faults");
    },
    /** The machines write for so long. */
    live: (ticks: number) => azure.control("POST", "advance-life", { ticks }),
  };
}

/** All that a log could show of it. */
export function everythingIn(thrown: unknown): string {
  const chain: string[] = [];
  for (let one = thrown; one instanceof Error; one = one.cause) chain.push(one.message, one.stack ?? "", String(one));
  return [...chain, inspect(thrown, { depth: 20, showHidden: true }), JSON.stringify(thrown)].join("\n");
}

export type ServiceAzure = Awaited<ReturnType<typeof startServiceAzure>>;
