// Every operation that the API has.

import type { Route } from "../api-call.ts";
import { CONTAINER_ROUTES } from "./container-routes.ts";
import { ITEM_ROUTES } from "./item-routes.ts";
import { JOB_ROUTES } from "./job-routes.ts";
import { OPERATION_ROUTES } from "./operation-routes.ts";
import { POINT_ROUTES } from "./point-routes.ts";
import { POLICY_ROUTES } from "./policy-routes.ts";
import { PROVIDER_ROUTES } from "./provider-routes.ts";
import { VAULT_CONFIG_ROUTES } from "./vault-config-routes.ts";
import { VAULT_ROUTES } from "./vault-routes.ts";

export const ROUTES: readonly Route[] = [
  ...VAULT_ROUTES,
  ...VAULT_CONFIG_ROUTES,
  ...POLICY_ROUTES,
  ...CONTAINER_ROUTES,
  ...ITEM_ROUTES,
  ...POINT_ROUTES,
  ...JOB_ROUTES,
  ...OPERATION_ROUTES,
  ...PROVIDER_ROUTES,
];
