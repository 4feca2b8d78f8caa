// Who the service is to Azure: the managed identity of what it runs on, and nothing else. The platform says where its tokens
// are to be had (IDENTITY_ENDPOINT, IDENTITY_HEADER); the simulated Azure says it in the same words.

import { ManagedIdentityCredential, type TokenCredential } from "@azure/identity";

export type { TokenCredential };

export function managedIdentity(clientId?: string): TokenCredential {
  return clientId === undefined ? new ManagedIdentityCredential() : new ManagedIdentityCredential({ clientId });
}
