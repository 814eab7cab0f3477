import assert from "node:assert/strict";
import { test } from "node:test";
import { signal } from "@preact/signals";
import type { Inbox, Row } from "../src/model/inbox";
import { active, arrangement, nextOpen, setFocusInside, startList } from "../src/view/list_state";
import { DEFAULT_QUERY } from "../src/view/query";
import { route } from "../src/view/route";
import { NOW, prompt, row } from "./prompts_of_tests";

test("a list that loads in parts has its tab stop at its first row, and where a person has gone it stays", () => {
  route.value = { place: { view: "queue" }, query: { ...DEFAULT_QUERY, order: "newest" } };
  const rows = signal<ReadonlyMap<string, Row>>(new Map());
  const link = signal("catching_up");
  const inbox = { rows, link, now: () => NOW } as unknown as Inbox;
  const arrive = (...all: number[]) => {
    rows.value = new Map(all.map((n) => [`p${n}`, row(prompt(n))] as const));
  };
  const stop = startList(inbox, "ana");
  arrive(9, 8);
  arrive(9, 8, 5, 4);
  link.value = "live";
  assert.deepEqual(arrangement.value.ids, ["p4", "p5", "p8", "p9"]);
  assert.equal(active.value, "p4");
  // A person goes to a row, and leaves the list again.
  setFocusInside(true);
  active.value = "p5";
  setFocusInside(false);
  arrive(9, 8, 5, 4, 1);
  assert.equal(arrangement.value.ids[0], "p1");
  assert.equal(active.value, "p5");
  stop();
});

test("the question that asks again comes next, before more urgent ones and those of other jobs", () => {
  route.value = { place: { view: "queue" }, query: DEFAULT_QUERY };
  const of = (n: number, jobId: string, key: string, corrected = "") => {
    const content = { ...prompt(n).content, ...(corrected === "" ? {} : { correction: { key: corrected } }) };
    return [`p${n}`, row({ ...prompt(n), jobId, key, content })] as const;
  };
  const rows = signal<ReadonlyMap<string, Row>>(
    new Map([
      of(1, "job", "k"),
      of(5, "other", "k5"),
      of(3, "other", "k3", "k"),
      of(4, "job", "k4", "k3"),
      of(2, "job", "k2", "k"),
    ]),
  );
  const session = signal({ subject: "ana", groups: [] });
  const inbox = { rows, session, link: signal("live"), now: () => NOW } as unknown as Inbox;
  const stop = startList(inbox, "ana");
  assert.equal(nextOpen("p1"), "p2");
  assert.equal(nextOpen("p2"), "p5");
  stop();
});
