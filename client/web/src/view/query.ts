// The queue's view, filters, order and groups, as they stand in the address.

import { isLabelCondition, valuesOf } from "./conditions";

/** The views of what ended, which the service lists. */
export function isRecord(view: View): boolean {
  return view === "decided" || view === "closed";
}

export const VIEWS = ["all", "mine", "unclaimed", "decided", "closed"] as const;
export type View = (typeof VIEWS)[number];

export const ORDERS = ["urgent", "deadline", "oldest", "newest", "priority"] as const;
export type Order = (typeof ORDERS)[number];

export interface Query {
  readonly view: View;
  readonly search: string;
  readonly kinds: readonly string[];
  readonly types: readonly string[];
  /** Conditions such as `team=refunds`: the label has exactly this value. */
  readonly labels: readonly string[];
  readonly order: Order;
  /** Empty: no groups. `type`, `kind`, `requester`, or `label:NAME`. */
  readonly group: string;
}

export const DEFAULT_QUERY: Query = {
  view: "all",
  search: "",
  kinds: [],
  types: [],
  labels: [],
  order: "urgent",
  group: "",
};

function oneOf<T extends string>(text: string | null, values: readonly T[], otherwise: T): T {
  return values.find((value) => value === text) ?? otherwise;
}

/** The query of an address. Values that are not known are left out. */
export function readQuery(params: URLSearchParams): Query {
  return {
    view: oneOf(params.get("view"), VIEWS, DEFAULT_QUERY.view),
    search: params.get("q") ?? "",
    kinds: valuesOf(params, "kind"),
    types: valuesOf(params, "type"),
    labels: valuesOf(params, "label").filter(isLabelCondition),
    order: oneOf(params.get("order"), ORDERS, DEFAULT_QUERY.order),
    group: params.get("group") ?? "",
  };
}

/** The address's part of a query. What is as usual is left out. */
export function writeQuery(query: Query): URLSearchParams {
  const params = new URLSearchParams();
  if (query.view !== DEFAULT_QUERY.view) params.set("view", query.view);
  if (query.search !== "") params.set("q", query.search);
  for (const kind of query.kinds) params.append("kind", kind);
  for (const type of query.types) params.append("type", type);
  for (const label of query.labels) params.append("label", label);
  if (query.order !== DEFAULT_QUERY.order) params.set("order", query.order);
  if (query.group !== "") params.set("group", query.group);
  return params;
}

/** Whether a query leaves rows of its view out. */
export function hasFilters(query: Query): boolean {
  return query.search.trim() !== "" || query.kinds.length + query.types.length + query.labels.length > 0;
}
