// Views that the first paint does not need, in one chunk: one more chunk would split what they share with the first
// paint into smaller files, which cost more than they save.

export { JobView } from "./jobs/job";
export { JobsView } from "./jobs/list";
export { OverviewView } from "./overview/overview";
export { PeopleView } from "./people/people";
export { RulesView } from "./rules/rules";
