// The English texts of the overview, which load with it. A catalogue of another language has them among its own.

import { learn } from "./index";

export const overviewWords = {
  "overview.loading": "Loading the figures…",
  "overview.read": "Read at {time}, again every {n} s.",
  "overview.read_now": "Read now",
  "overview.read_done": "The figures are read.",
  "overview.old": "These are the figures of {time}.",
  "overview.forbidden":
    "You have no right to see these figures. They need the role client, or the role console for your own questions.",
  "overview.own":
    "You see the figures of the questions that you may answer. Those of everyone need the role client.",
  "overview.table": "As a table",

  "overview.waiting": "Waits now",
  "overview.waiting.total": { one: "question waits", other: "questions wait" },
  "overview.waiting.unattended": "unattended",
  "overview.waiting.unattended.more": "Unattended: no person who may answer is connected at the moment.",
  "overview.waiting.oldest": "is the longest wait",
  "overview.waiting.none": "Nothing waits for an answer",
  "overview.waiting.partial": {
    one: "There is more than the service counts: this is the oldest question.",
    other: "There are more than the service counts: these are the oldest {n} questions.",
  },
  "overview.age": "How long they have waited",
  "overview.age.under": "less than {to}",
  "overview.age.between": "{from} to {to}",
  "overview.age.over": "more than {from}",
  "overview.kind": "What kind they are",
  "overview.priority": "How urgent they are",
  "overview.priority.n": "Priority {n}",
  "overview.by_kind_and_age": "Kind and waiting time as a table",
  "overview.column.age": "Waits for",
  "overview.column.kind": "Kind",
  "overview.column.priority": "Priority",
  "overview.column.n": "Questions",
  "overview.column.unattended": "{n} unattended",

  "overview.oldest": "Oldest first",
  "overview.oldest.of": "The oldest {n} of {all}.",
  "overview.oldest.job": "the job {type}",

  "overview.streams": "Connected now",
  "overview.streams.people": { one: "person with an inbox open", other: "people with an inbox open" },
  "overview.streams.consoles": { one: "open inbox", other: "open inboxes" },
  "overview.streams.workers": { one: "worker", other: "workers" },

  "overview.activity": "What happened",
  "overview.window": "Time",
  "overview.window.1h": "Last hour",
  "overview.window.6h": "6 hours",
  "overview.window.24h": "24 hours",
  "overview.window.7d": "7 days",
  "overview.window.30d": "30 days",
  "overview.window.whole":
    "From {time}, because the service counts full hours. Each column is {step}; the last one goes until now.",
  "overview.counted": "Counted until {time}; later events follow within minutes.",
  "overview.counted.none": "Nothing is counted yet: the service counts every few minutes.",
  "overview.nothing": "Nothing happened in this time",
  "overview.questions": "Questions",
  "overview.jobs": "Jobs",
  "overview.asked": "Asked",
  "overview.answered": "Answered by people",
  "overview.defaulted": "Answered by the deadline’s default",
  "overview.carried": "Taken over from an earlier job",
  "overview.expired": "Expired unanswered",
  "overview.withdrawn": "Withdrawn or replaced",
  "overview.created": "Created",
  "overview.completed": "Done",
  "overview.failed": "Failed",
  "overview.cancelled": "Cancelled",
  "overview.scale": "All rows have the same scale: the highest column is {n}.",
  "overview.plot": "{name}: {n} in all, at most {most} in one column. The table below has every number.",
  "overview.point": "{from} to {to}: {n}",
  "overview.from": "From",

  "overview.times": "How long people took to answer",
  "overview.times.p50": "half of the answers within",
  "overview.times.p90": "90 % within",
  "overview.times.p99": "99 % within",
  "overview.times.none": "No person answered in this time",
  "overview.times.how":
    "The lower end of a bar: half of the answers came within this time. The upper end: 90 % of them. The scale grows by factors.",
  "overview.times.plot":
    "Answer times by the time of the answer: half within {p50}, 90 % within {p90}. The table below has every number.",
  "overview.times.point": "{from} to {to}: half within {p50}, 90 % within {p90}; {n} answers",

  "overview.by_type": "By job and kind",
  "overview.by_type.jobs": "Jobs by type",
  "overview.type": "Job",
  "overview.type.deleted": "deleted jobs",
} as const;

learn(overviewWords);
