// Who this process is to Azure: what the environment says (a client and its secret), else the machine's managed identity,
// else who is signed in with Azure's own command line. The library asks in that order, and keeps what it finds.

import { DefaultAzureCredential } from "@azure/identity";

export function ownIdentity(): DefaultAzureCredential {
  return new DefaultAzureCredential();
}
