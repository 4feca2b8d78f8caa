// Containers and discovery: which machines are registered, which could be protected, and looking for new ones.

import { listItems } from "../../control/items.ts";
import { createOperation } from "../../control/operations.ts";
import type { ItemBody } from "../../control/rows/item-row.ts";
import { type Answer, type ApiCall, ok, PATHS, type Route } from "../api-call.ts";
import { acceptedAt } from "../long-running.ts";
import { pageOf } from "../paging.ts";
import { renderContainer } from "../wire/container.ts";
import { vaultOf } from "./in-vault.ts";
