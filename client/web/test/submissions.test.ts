import assert from "node:assert/strict";
import { test } from "node:test";
import { CallError } from "../src/model/call_error";
import type { AnswerBody } from "../src/model/inbox";
import { type Outcome, STORE_PREFIX, Submissions } from "../src/model/submissions";
import type { AnswerPromptRequest, AnswerResult } from "../src/wire/messages";
import { FakeClock, settle } from "./support/clock";
import { FakeStore } from "./support/stores";

interface Sent {
  readonly route: "socket" | "post";
  readonly request: AnswerPromptRequest;
  /** All answers of the call. */
  readonly requests: readonly AnswerPromptRequest[];
  readonly batchId: string;
  accept(more?: AnswerResult): Promise<void>;
  give(...outcomes: readonly Outcome[]): Promise<void>;
  fail(error: CallError): Promise<void>;
}

const BODY: AnswerBody = {
  promptId: "p",
  revision: 3,
  decision: "DECISION_ACCEPT",
  valuesJson: '{"amount":9007199254740993,"rate":0.10}',
  comment: "ok",
};
const DOWN = new CallError({ code: "unavailable", message: "down" });

function setup(store = new FakeStore(), subject = "ana") {
  const clock = new FakeClock();
  const sent: Sent[] = [];
  const told: string[] = [];
  const network = { socketOpen: true };
  let ids = 0;
  const by = (route: Sent["route"]) => (requests: readonly AnswerPromptRequest[], batchId: string) =>
    new Promise<readonly Outcome[]>((resolve, reject) => {
      const request = requests[0] ?? {};
      const accept = (more: AnswerResult = {}) => {
        resolve([
          { status: "ANSWER_STATUS_ACCEPTED", prompt: { promptId: request.promptId ?? "" }, ...more },
        ]);
        return settle();
      };
      const give = (...outcomes: readonly Outcome[]) => {
        resolve(outcomes);
        return settle();
      };
      const fail = (error: CallError) => {
        reject(error);
        return settle();
      };
      sent.push({ route, request, requests, batchId, accept, give, fail });
    });
  const submissions = new Submissions({
    clock,
    random: () => 0.5,
    store,
    subject,
    newId: () => `id${++ids}`,
    routes: { socketOpen: () => network.socketOpen, bySocket: by("socket"), byPost: by("post") },
    learned: (result) => told.push(`${result.status}`),
    signedOut: () => told.push("signed out"),
  });
  const state = () => submissions.state("p").value;
  return { clock, store, sent, told, network, submissions, state };
}

test("rule 11: the body is stored with its id before it is sent, and goes when the verdict comes", async () => {
  const { store, sent, submissions, state } = setup();
  const seen: string[] = [];
  store.set = (key, value) => {
    seen.push(`${key} before ${sent.length} were sent`);
    store.entries.set(key, value);
  };
  assert.equal(submissions.submit([BODY]), true);
  assert.deepEqual(seen, [`${STORE_PREFIX}p before 0 were sent`]);
  assert.deepEqual(sent[0]?.request, { ...BODY, answerId: "id1" });
  assert.equal(state()?.state, "sending");
  await sent[0]?.accept();
  assert.equal(state()?.state, "accepted");
  assert.deepEqual(store.keys(), []);
  assert.equal(submissions.isMine("id1"), true);
});

test("one latch for each prompt: a second press does nothing until the verdict is known", async () => {
  const { sent, submissions } = setup();
  submissions.submit([BODY]);
  assert.equal(submissions.submit([{ ...BODY, decision: "DECISION_REJECT" }]), false);
  assert.equal(submissions.submit([{ ...BODY, promptId: "q" }]), true);
  assert.equal(sent.length, 2);
  submissions.forget("p");
  assert.equal(submissions.submit([BODY]), false, "what is on its way cannot be forgotten");
  await sent[0]?.accept({ status: "ANSWER_STATUS_INVALID", violations: [{ field: "values_json/amount" }] });
  submissions.forget("p");
  assert.equal(submissions.state("p").value, null);
  assert.equal(submissions.submit([BODY]), true);
  assert.equal(sent[2]?.request.answerId, "id3", "changed content gets a new id");
});

test("rule 14: no time makes it a failure; it is sent again, unchanged, over the other route too", async () => {
  const { clock, sent, submissions, state } = setup();
  submissions.submit([BODY]);
  await clock.advance(4999);
  assert.equal(state()?.state, "sending");
  await clock.advance(2);
  assert.equal(state()?.state, "unconfirmed");
  await clock.advance(3600_000);
  assert.equal(state()?.state, "unconfirmed");
  assert.ok(sent.length > 50 && sent.length < 300, `${sent.length} times in an hour`);
  assert.ok(sent.slice(1).every(({ route }) => route === "post"));
  assert.ok(
    sent.every(({ request }) => JSON.stringify(request) === JSON.stringify({ ...BODY, answerId: "id1" })),
  );
  await sent[7]?.accept({ replayed: true });
  const result = state();
  assert.deepEqual([result?.state, result?.state === "accepted" && result.replayed], ["accepted", true]);
  const count = sent.length;
  await sent[0]?.fail(DOWN);
  await clock.advance(60_000);
  assert.equal(sent.length, count);
  assert.equal(state()?.state, "accepted", "a second result does nothing");
});

test("the socket is lost: by POST with the ladder, and at once on the next socket", async () => {
  const { clock, sent, network, submissions, state } = setup();
  submissions.submit([BODY]);
  network.socketOpen = false;
  await sent[0]?.fail(DOWN);
  await clock.advance(1000);
  assert.equal(sent[1]?.route, "post");
  for (let attempt = 1; attempt < 8; attempt += 1) {
    await sent[attempt]?.fail(DOWN);
    await clock.advance(30_000);
  }
  assert.ok(sent.slice(1).every(({ route }) => route === "post"));
  network.socketOpen = true;
  const before = sent.length;
  submissions.resend();
  assert.deepEqual([sent.length, sent.at(-1)?.route, state()?.state], [before + 1, "socket", "unconfirmed"]);
  await sent.at(-1)?.accept();
  assert.equal(state()?.state, "accepted");
});

test("reload: the next page of the tab sends it again, unchanged", async () => {
  const first = setup();
  first.submissions.submit([BODY]);
  const second = setup(first.store);
  second.submissions.resume();
  assert.deepEqual(second.sent[0]?.request, first.sent[0]?.request);
  assert.equal(second.state()?.state, "sending");
  assert.equal(second.submissions.submit([BODY]), false);
  assert.equal(second.submissions.isMine("id1"), true);
  await second.sent[0]?.accept();
  assert.deepEqual(second.store.keys(), []);
});

test("another person in the same tab does not send what the first one pressed", () => {
  const first = setup();
  first.submissions.submit([BODY]);
  const second = setup(first.store, "ben");
  second.submissions.resume();
  assert.deepEqual(second.sent, []);
  assert.equal(first.store.keys().length, 1);
});

test("storage that is full or broken does not stop an answer", async () => {
  const full = setup();
  full.store.full = true;
  full.submissions.submit([BODY]);
  await full.sent[0]?.accept();
  assert.equal(full.state()?.state, "accepted");
  const broken = setup(
    new FakeStore([
      [`${STORE_PREFIX}x`, "{"],
      [`${STORE_PREFIX}y`, '{"subject":"ana","request":{"promptId":"other"}}'],
      [`${STORE_PREFIX}p`, '{"subject":"ana","request":{"promptId":"p","answerId":"z"}}'],
      ["askback.tab", "t"],
    ]),
  );
  broken.submissions.resume();
  assert.deepEqual(
    broken.sent.map(({ request }) => request.answerId),
    ["z"],
  );
});

test("verdicts: recorded, closed, stale, invalid, and one that this page does not know", async () => {
  for (const [status, expected] of [
    ["ANSWER_STATUS_RECORDED", "recorded"],
    ["ANSWER_STATUS_CLOSED", "closed"],
    ["ANSWER_STATUS_STALE", "stale"],
    ["ANSWER_STATUS_INVALID", "invalid"],
    ["ANSWER_STATUS_HELD_SOMEHOW", "refused"],
  ] as const) {
    const { sent, submissions, state, store, told } = setup();
    submissions.submit([BODY]);
    await sent[0]?.accept({
      status: status as "ANSWER_STATUS_CLOSED",
      prompt: { promptId: "p", revision: 4 },
    });
    const result = state();
    assert.equal(result?.state, expected);
    assert.deepEqual(told, [status]);
    assert.deepEqual(store.keys(), []);
    if (result?.state === "stale") {
      assert.deepEqual(
        [result.prompt.revision, result.body.revision],
        [4, 3],
        "both revisions, for the diff",
      );
    }
  }
});

test("errors: what was not judged is sent again, what is refused is said", async () => {
  const again = ["unavailable", "deadline_exceeded", "resource_exhausted", "canceled", "unknown"] as const;
  for (const code of again) {
    const { clock, sent, submissions, state } = setup();
    submissions.submit([BODY]);
    await sent[0]?.fail(new CallError({ code, message: "m", retryAfterMs: 7000 }));
    await clock.advance(7000);
    assert.equal(sent.length, 1, `${code} waits as long as the service asks`);
    await clock.advance(1000);
    assert.deepEqual([sent.length, state()?.state], [2, "unconfirmed"], code);
  }
  const contention = setup();
  contention.submissions.submit([BODY]);
  await contention.sent[0]?.fail(
    new CallError({ code: "aborted", reason: "ERROR_REASON_CONTENTION", message: "" }),
  );
  assert.equal(contention.state()?.state, "sending");
  for (const code of [
    "not_found",
    "failed_precondition",
    "permission_denied",
    "already_exists",
    "internal",
  ] as const) {
    const { clock, sent, submissions, state } = setup();
    submissions.submit([BODY]);
    await sent[0]?.fail(new CallError({ code, reason: "ERROR_REASON_PROMPT_CLAIMED", message: "m" }));
    await clock.advance(3600_000);
    const result = state();
    assert.equal(result?.state === "refused" && result.error.code, code);
    assert.equal(sent.length, 1);
  }
});

test("signed out in the midst: it waits for the sign-in, and goes out unchanged then", async () => {
  const { clock, sent, submissions, state, told, store } = setup();
  submissions.submit([BODY]);
  await sent[0]?.fail(new CallError({ code: "unauthenticated", message: "" }));
  assert.deepEqual(told, ["signed out"]);
  await clock.advance(3600_000);
  assert.deepEqual([sent.length, state()?.state, store.keys().length], [1, "unconfirmed", 1]);
  submissions.resend();
  assert.deepEqual(sent[1]?.request, sent[0]?.request);
});

test("hold stops the timers and keeps what is stored", async () => {
  const { clock, sent, submissions, store } = setup();
  submissions.submit([BODY]);
  submissions.hold();
  await clock.advance(3600_000);
  assert.deepEqual([sent.length, store.keys().length], [1, 1]);
});

const ACCEPTED: AnswerResult = { status: "ANSWER_STATUS_ACCEPTED", prompt: {} };
const three = ["p", "q", "r"].map((promptId) => ({ ...BODY, promptId }));
const idsOf = (sent: Sent | undefined) =>
  sent?.requests.map(({ promptId, answerId }) => `${promptId} ${answerId}`);

test("a joint decision is one call, and each answer has its own result", async () => {
  const { sent, submissions, store, told } = setup();
  assert.equal(submissions.submit(three, "b"), true);
  assert.deepEqual([sent.length, sent[0]?.batchId, idsOf(sent[0])], [1, "b", ["p id1", "q id2", "r id3"]]);
  const refused = new CallError({ code: "failed_precondition", message: "claimed" });
  await sent[0]?.give(ACCEPTED, { status: "ANSWER_STATUS_STALE", prompt: {} }, refused);
  const states = three.map(({ promptId }) => submissions.state(promptId).value?.state);
  assert.deepEqual(states, ["accepted", "stale", "refused"]);
  assert.deepEqual([store.keys(), told], [[], ["ANSWER_STATUS_ACCEPTED", "ANSWER_STATUS_STALE"]]);
});

test("of a joint decision only what has no verdict is sent again: together, unchanged, under its name", async () => {
  const { clock, sent, network, submissions } = setup();
  submissions.submit(three, "b");
  const busy = new CallError({ code: "resource_exhausted", message: "", retryAfterMs: 7000 });
  await sent[0]?.give(ACCEPTED, busy, busy);
  await clock.advance(6999);
  assert.equal(sent.length, 1, "it waits as long as the service asks");
  await clock.advance(1000);
  assert.deepEqual([sent.length, sent[1]?.batchId, idsOf(sent[1])], [2, "b", ["q id2", "r id3"]]);
  network.socketOpen = false;
  await sent[1]?.fail(DOWN);
  await clock.advance(30_000);
  assert.deepEqual([sent[2]?.route, sent[2]?.batchId, idsOf(sent[2])], ["post", "b", ["q id2", "r id3"]]);
  await sent[2]?.give(ACCEPTED, ACCEPTED);
  const count = sent.length;
  await clock.advance(3600_000);
  submissions.resend();
  assert.equal(sent.length, count);
});

test("a joint decision survives a reload as one call", async () => {
  const first = setup();
  first.submissions.submit(three, "b");
  await first.sent[0]?.give(ACCEPTED);
  const second = setup(first.store);
  second.submissions.resume();
  assert.deepEqual([second.sent.length, second.sent[0]?.batchId], [1, "b"]);
  assert.deepEqual(idsOf(second.sent[0]), ["q id2", "r id3"]);
});

test("a joint decision goes in calls of at most 200, and leaves out what is on its way", () => {
  const { sent, submissions } = setup();
  submissions.submit([BODY]);
  const many = Array.from({ length: 450 }, (_, n) => ({ ...BODY, promptId: n === 7 ? "p" : `m${n}` }));
  assert.equal(submissions.submit(many, "b"), true);
  assert.deepEqual(
    sent.map(({ requests, batchId }) => [batchId, requests.length]),
    [
      ["", 1],
      ["b", 200],
      ["b", 200],
      ["b", 49],
    ],
  );
  assert.equal(submissions.submit([BODY], "c"), false);
});
