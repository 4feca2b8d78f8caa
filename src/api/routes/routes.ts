// Every operation that the API has.

import type { Route } from "../api-call.ts";
import { JOB_ROUTES } from "./job-routes.ts";
import { OPERATION_ROUTES } from "./operation-routes.ts";
import { POLICY_ROUTES } from "./policy-routes.ts";
import { VAULT_CONFIG_ROUTES } from "./vault-config-routes.ts";
import { VAULT_ROUTES } from "./vault-routes.ts";

export const ROUTES: readonly Route[] = [
  ...VAULT_ROUTES,
  ...VAULT_CONFIG_ROUTES,
  ...POLICY_ROUTES,
  ...JOB_ROUTES,
  ...OPERATION_ROUTES,
];
