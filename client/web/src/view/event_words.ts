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

function listIn(data: Readonly<Record<string, unknown>>, name: string): readonly string[] {
  const found = data[name];
  return Array.isArray(found) ? found.filter((one) => typeof one === "string") : [];
}

/** What rules made of a question: which of them, as `id@revision`, did the one thing that matters most. */
interface Ruling {
  readonly how: string;
  readonly rules: readonly string[];
  /** What else happened. */
  readonly more: readonly Part[];
}

/** A part of what rules did, with the rules in its place `{rules}` and the service's reason in `{why}`. */
export interface Part {
  readonly key: LaterKey;
  readonly rules: readonly string[];
  readonly why?: string;
}

/** What the event of a ruling says. */
export function rulingOf(event: JobEvent): Ruling {
  const data = dataOf(event);
  const [routed, errors] = [listIn(data, "routed"), listIn(data, "errors")];
  const hindered = Object.entries(data.hindered ?? {}).map(([rule, why]) => ({ rule, why: String(why) }));
  const others = listIn(data, "matched").filter((one) => !routed.includes(one));
  const answering = others.filter((one) => !hindered.some(({ rule }) => rule === one));
  const outcome = textIn(data, "outcome").toLowerCase();
  const conflict = textIn(data, "conflict");
  const isAnswer = outcome === "answer" || outcome === "refuse";
  const how = isAnswer ? outcome : others.length > 0 ? "" : routed.length > 0 ? "route" : "errors";
  const more: readonly (Part | null)[] = [
    routed.length === 0 || how === "route" ? null : { key: "event.ruled.routed", rules: routed },
    errors.length === 0 || how === "errors" ? null : { key: "event.ruled.errors", rules: errors },
    ...hindered.map(({ rule, why }): Part => ({ key: "event.ruled.hindered", rules: [rule], why })),
    conflict === "" ? null : { key: "event.ruled.conflict", rules: [], why: conflict },
  ];
  return {
    how,
    rules: isAnswer ? answering : how === "route" ? routed : how === "errors" ? errors : others,
    more: more.filter((one) => one !== null),
  };
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
    prompt_answered: textIn(data, "source").toLowerCase(),
    prompt_ruled: type === "prompt_ruled" ? rulingOf(event).how : "",
  } as Readonly<Record<string, string>>;
  const best = [
    behalf === "" ? "" : `event.${type}.behalf`,
    `event.${type}.${how[type] ?? ""}`,
    `event.${type}`,
  ];
  return { key: best.find(isKey) ?? "event.other", names };
}
