// The texts for views that load after the first paint. Importing this adds them to the English catalogue; a catalogue of
// another language has all texts, and loads later anyway.

import type { ComponentChildren } from "preact";
import { EN } from "../forms/words_en";
import { rich as anyRich, t as anyText, isKey as isAnyKey, type LaterKey, learn, type Params } from ".";
import { enDelegation } from "./en_delegation";
import { enJobs } from "./en_jobs";
import { enOverview } from "./en_overview";
import { enPeople } from "./en_people";
import { enQueue } from "./en_queue";
import { enRules } from "./en_rules";
import { enViews } from "./en_views";
import { enVotes } from "./en_votes";

export const enLater = {
  ...enViews,
  ...enQueue,
  ...enJobs,
  ...enOverview,
  ...enPeople,
  ...enVotes,
  ...enDelegation,
  ...enRules,
} as const;
learn(enLater, EN);

/** The text of a key, also one that loads later, with its places filled in. */
export const t = anyText as (key: LaterKey, params?: Params) => string;

/** Whether a text is a key, also of a text that loads later. */
export const isKey = isAnyKey as (text: string) => text is LaterKey;

/** The same with elements in its places. */
export const rich = anyRich as (
  key: LaterKey,
  parts: Readonly<Record<string, ComponentChildren>>,
) => ComponentChildren[];
