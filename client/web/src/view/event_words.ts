// The words for an event of a job, by its type and what its data say.

import type { JobEvent } from "../wire/messages";
import type { LaterKey } from "../words";
import { isKey, t } from "../words/later";
import { nameOf } from "./job_facts";

/** The data of an event; empty where they cannot be read. */
export function dataOf(event: JobEvent): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(event.dataJson || "{}") ?? {};
  } catch {
    return {};
  }
}

interface Words {
  readonly key: LaterKey;
  /** The names of people and groups in its places, besides that of the actor. */
  readonly names: Readonly<Record<string, string>>;
}

function textIn(data: Readonly<Record<string, unknown>>, name: string): string {
  const found = data[name];
  return typeof found === "string" ? found : "";
}

/** The words for an event. */
export function wordsOf(event: JobEvent): Words {
  const data = dataOf(event);
  const type = nameOf(event).toLowerCase();
  const behalf = textIn(data, "on_behalf_of");
  const group = textIn(data, "group");
  const names = {
    giver: textIn(data, "giver"),
    target: group === "" ? textIn(data, "user") : t("audience.group", { name: group }),
    behalf,
  };
  const how = {
    prompt_delegated: textIn(data, "cause") === "ABSENCE" ? "absence" : textIn(data, "mode").toLowerCase(),
    delegation_ended: textIn(data, "why").toLowerCase(),
  } as Readonly<Record<string, string>>;
  const best = [
    behalf === "" ? "" : `event.${type}.behalf`,
    `event.${type}.${how[type] ?? ""}`,
    `event.${type}`,
  ];
  return { key: best.find(isKey) ?? "event.other", names };
}
