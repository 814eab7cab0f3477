import assert from "node:assert/strict";
import { test } from "node:test";
import { type Entry, speak } from "../src/words";
import { catalogue as de } from "../src/words/de";
import { en as first } from "../src/words/en";
import { enLater, t } from "../src/words/later";

/** The texts of the first paint, and those that load later. */
const en = { ...first, ...enLater };
const forms = (entry: Entry) => (typeof entry === "string" ? [entry] : [entry.one, entry.other]);
const places = (entry: Entry) =>
  [...new Set(forms(entry).flatMap((text) => text.match(/\{\w+\}/g) ?? []))].sort();

test("both languages have the same keys, and the same places in each text", () => {
  assert.deepEqual(Object.keys(de).sort(), Object.keys(en).sort());
  for (const key of Object.keys(en) as (keyof typeof en)[]) {
    assert.deepEqual(places(de[key]), places(en[key]), key);
    for (const text of forms(de[key])) assert.notEqual(text.trim(), "", key);
  }
});

test("texts that load later are there in both languages, whichever came first", async () => {
  await speak("de");
  assert.equal(t("overview.oldest"), de["overview.oldest"]);
  await speak("en");
  assert.equal(t("overview.oldest"), enLater["overview.oldest"]);
});

test("a text takes the form of its number, and writes large numbers with groups", async () => {
  await speak("en");
  assert.equal(t("queue.all", { n: 1 }), "1 question waits");
  assert.equal(t("queue.all", { n: 1200 }), "1,200 questions wait");
  await speak("de");
  assert.match(t("queue.all", { n: 1200 }), /^1\.200 /);
  await speak("en");
});
