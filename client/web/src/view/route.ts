// Addresses of the page: which view, which prompt or job, and in the query the filters of the queue or of the
// lists of jobs and people, or the window of the overview.

import { signal } from "@preact/signals";
import { type JobQuery, readJobQuery, writeJobQuery } from "./jobs/job_query";
import { readWindow, type WindowName, writeWindow } from "./overview/window";
import { type PeopleQuery, readPeopleQuery, writePeopleQuery } from "./people/people_query";
import { DEFAULT_QUERY, type Query, readQuery, writeQuery } from "./query";

export type Place =
  | { readonly view: "queue" }
  | { readonly view: "prompt"; readonly promptId: string }
  | { readonly view: "jobs"; readonly filter: JobQuery }
  | { readonly view: "job"; readonly jobId: string }
  | { readonly view: "overview"; readonly window: WindowName }
  | { readonly view: "people"; readonly filter: PeopleQuery }
  | { readonly view: "rules"; readonly ruleId: string }
  | { readonly view: "settings" }
  | { readonly view: "sign-in" }
  | { readonly view: "unknown"; readonly path: string };

interface Route {
  readonly place: Place;
  readonly query: Query;
}

const PROMPT = /^\/prompts\/([0-9a-zA-Z-]{1,64})$/;
const RULE = /^\/rules(?:\/([0-9a-zA-Z-]{1,64}))?$/;
const JOB = /^\/jobs\/([0-9a-zA-Z-]{1,64})$/;

/** The route of an address. A deep link carries a prompt's id; every other value of its query is a filter. */
export function parseRoute(written: string, search: string): Route {
  const path = written.replace(/(?<=.)\/$/, "");
  const params = new URLSearchParams(search);
  if (path === "/jobs")
    return { place: { view: "jobs", filter: readJobQuery(params) }, query: DEFAULT_QUERY };
  if (path === "/overview")
    return { place: { view: "overview", window: readWindow(params) }, query: DEFAULT_QUERY };
  if (path === "/people")
    return { place: { view: "people", filter: readPeopleQuery(params) }, query: DEFAULT_QUERY };
  const query = readQuery(params);
  const rule = RULE.exec(path);
  if (rule !== null) return { place: { view: "rules", ruleId: rule[1] ?? "" }, query };
  const prompt = PROMPT.exec(path)?.[1];
  if (prompt !== undefined) return { place: { view: "prompt", promptId: prompt }, query };
  const job = JOB.exec(path)?.[1];
  if (job !== undefined) return { place: { view: "job", jobId: job }, query };
  if (path === "/" || path === "") return { place: { view: "queue" }, query };
  if (path === "/settings") return { place: { view: "settings" }, query };
  if (path === "/sign-in") return { place: { view: "sign-in" }, query };
  return { place: { view: "unknown", path }, query };
}

/** The address of a route. */
export function formatRoute(place: Place, query: Query): string {
  const params = paramsOf(place, query);
  const text = params.toString();
  return text === "" ? pathOf(place) : `${pathOf(place)}?${text}`;
}

function paramsOf(place: Place, query: Query): URLSearchParams {
  if (place.view === "jobs") return writeJobQuery(place.filter);
  if (place.view === "people") return writePeopleQuery(place.filter);
  return place.view === "overview" ? writeWindow(place.window) : writeQuery(query);
}

function pathOf(place: Place): string {
  switch (place.view) {
    case "prompt":
      return `/prompts/${place.promptId}`;
    case "job":
      return `/jobs/${place.jobId}`;
    case "rules":
      return `/rules/${place.ruleId}`.replace(/\/$/, "");
    case "queue":
      return "/";
    case "unknown":
      return place.path;
    default:
      return `/${place.view}`;
  }
}

/** The route on the screen. */
export const route = signal<Route>({ place: { view: "queue" }, query: DEFAULT_QUERY });

/** Follow the address bar. Call it once; returns a function that stops it. */
export function startRouter(): () => void {
  const read = () => {
    route.value = parseRoute(location.pathname, location.search);
  };
  read();
  addEventListener("popstate", read);
  return () => removeEventListener("popstate", read);
}

/** Go to a place, and keep the queue's filters. */
export function go(place: Place, how: "push" | "replace" = "push"): void {
  show({ place, query: route.peek().query }, how);
}

/** Change the queue's filters, and stay at the place. */
export function refine(change: Partial<Query>): void {
  const { place, query } = route.peek();
  show({ place, query: { ...query, ...change } }, "replace");
}

/** Take every filter off; the view, the order and the groups stay. */
export function clearFilters(): void {
  refine({ search: "", kinds: [], types: [], labels: [] });
}

function show(next: Route, how: "push" | "replace"): void {
  const address = formatRoute(next.place, next.query);
  if (address !== location.pathname + location.search) {
    if (how === "push") history.pushState(null, "", address);
    else history.replaceState(null, "", address);
  }
  route.value = next;
}

/** A link's click that the page handles itself: the plain button, without a modifier. */
export function isPlainClick(event: MouseEvent): boolean {
  return event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
}
