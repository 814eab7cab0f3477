import assert from "node:assert/strict";
import { test } from "node:test";
import { formatRoute, parseRoute } from "../src/view/route";

test("an address survives being read and written", () => {
  for (const address of [
    "/",
    "/settings",
    "/people",
    "/people?q=ana+l&group=ops&everyone=1",
    "/rules",
    "/rules/0190aaaa-0000-7000-8000-000000000001",
    "/prompts/0190aaaa-0000-7000-8000-000000000001",
    "/?view=mine&q=late+return&kind=confirm&kind=preview&type=refund&label=team%3Da%3Db&order=deadline&group=label%3Ateam",
  ]) {
    const [path = "", search = ""] = address.split("?");
    const { place, query } = parseRoute(path, search === "" ? "" : `?${search}`);
    assert.equal(formatRoute(place, query), address);
  }
});

test("a link to a prompt carries its id and nothing that fills anything in", () => {
  const { place, query } = parseRoute("/prompts/p1", "?decision=ACCEPT&comment=hello&amount=5");
  assert.deepEqual(place, { view: "prompt", promptId: "p1" });
  assert.equal(formatRoute(place, query), "/prompts/p1");
});

test("a slash at the end changes nothing", () => {
  for (const path of [
    "/jobs",
    "/jobs/1",
    "/overview",
    "/people",
    "/rules",
    "/rules/1",
    "/prompts/1",
    "/settings",
    "/sign-in",
  ]) {
    assert.deepEqual(parseRoute(`${path}/`, ""), parseRoute(path, ""), path);
  }
  assert.equal(parseRoute("//", "").place.view, "queue");
});

test("an address that no view has is said to be unknown", () => {
  assert.equal(parseRoute("/prompts/a/b", "").place.view, "unknown");
  assert.equal(parseRoute("/nowhere", "").place.view, "unknown");
  assert.equal(parseRoute("/", "?view=nonsense&order=1&label=x").query.view, "all");
  assert.deepEqual(parseRoute("/", "?label=x&label=%3Dx").query.labels, []);
});
