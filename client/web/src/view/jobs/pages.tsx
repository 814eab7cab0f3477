// The views of jobs, which are not needed for the first paint, in one chunk.

export { JobView } from "./job";
export { JobsView } from "./list";
