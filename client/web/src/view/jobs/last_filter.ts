import { signal } from "@preact/signals";
import { ALL_JOBS, type JobQuery } from "./job_query";

/** The filters of the list that was shown last: the way back from a job leads to it. */
export const lastFilter = signal<JobQuery>(ALL_JOBS);
