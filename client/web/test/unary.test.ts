import assert from "node:assert/strict";
import { test } from "node:test";
import { fetchSession, signIn, signOut } from "../src/model/session";
import { answerByPost, call, type Fetch } from "../src/wire/unary";

interface Asked {
  path: string;
  init: RequestInit;
}

function replies(status: number, body: unknown, headers: Record<string, string> = {}): [Fetch, Asked[]] {
  const asked: Asked[] = [];
  const fetch: Fetch = async (path, init) => {
    asked.push({ path, init });
    return new Response(typeof body === "string" ? body : JSON.stringify(body), { status, headers });
  };
  return [fetch, asked];
}

test("a call is a POST of ProtoJSON with the headers that no other page can send", async () => {
  const [fetch, asked] = replies(200, { prompts: [{ promptId: "p", version: "9007199254740993" }] });
  const reply = await call(fetch, "HitlService/ListPrompts", { pageSize: 5 });
  assert.equal(reply.prompts?.[0]?.version, "9007199254740993");
  assert.equal(asked[0]?.path, "/askback.v1.HitlService/ListPrompts");
  assert.deepEqual(
    [asked[0]?.init.method, asked[0]?.init.headers, asked[0]?.init.body],
    ["POST", { "content-type": "application/json", "connect-protocol-version": "1" }, '{"pageSize":5}'],
  );
});

test("an error carries code, reason, message, metadata, violations, retry delay and the request's id", async () => {
  const [fetch] = replies(
    400,
    {
      code: "invalid_argument",
      message: "a field is wrong",
      details: [
        {
          type: "google.rpc.ErrorInfo",
          value: "",
          debug: { reason: "ERROR_REASON_INVALID_FIELD", metadata: { a: "b" } },
        },
        {
          type: "google.rpc.BadRequest",
          value: "",
          debug: { fieldViolations: [{ field: "f", description: "d" }] },
        },
        { type: "google.rpc.RetryInfo", value: "", debug: { retryDelay: "1.5s" } },
      ],
    },
    { "trailer-askback-request-id": "r1" },
  );
  await assert.rejects(call(fetch, "HitlService/GetPrompt", {}), {
    name: "CallError",
    code: "invalid_argument",
    reason: "ERROR_REASON_INVALID_FIELD",
    message: "a field is wrong",
    metadata: { a: "b" },
    violations: [{ field: "f", description: "d" }],
    retryAfterMs: 1500,
    requestId: "r1",
  });
});

test("a reply of a proxy is judged by its status, and a dead network is unavailable", async () => {
  for (const [status, code] of [
    [401, "unauthenticated"],
    [403, "permission_denied"],
    [404, "unimplemented"],
    [429, "unavailable"],
    [502, "unavailable"],
    [418, "unknown"],
  ] as const) {
    const [fetch] = replies(status, "<html>");
    await assert.rejects(call(fetch, "HitlService/GetPrompt", {}), { code, reason: "" }, `${status}`);
  }
  const dead: Fetch = () => Promise.reject(new TypeError("Failed to fetch"));
  await assert.rejects(call(dead, "HitlService/GetPrompt", {}), { code: "unavailable" });
});

test("finding 1: the verdict of a refused answer is read from the detail's `debug`", async () => {
  const result = {
    status: "ANSWER_STATUS_STALE",
    answerId: "a",
    prompt: { promptId: "p", revision: 2 },
  } as const;
  const [stale] = replies(409, {
    code: "aborted",
    message: "changed",
    details: [
      { type: "google.rpc.ErrorInfo", debug: { reason: "ERROR_REASON_PROMPT_STALE" } },
      { type: "askback.v1.AnswerResult", value: "CAQ", debug: result },
    ],
  });
  assert.deepEqual(await answerByPost(stale, {}), result);
  const [accepted] = replies(200, { result: { status: "ANSWER_STATUS_ACCEPTED" } });
  assert.equal((await answerByPost(accepted, {})).status, "ANSWER_STATUS_ACCEPTED");
  const [busy] = replies(429, { code: "resource_exhausted", message: "busy" });
  await assert.rejects(answerByPost(busy, {}), { code: "resource_exhausted" });
});

test("a reply that breaks off is no verdict, and no session", async () => {
  const [fetch, asked] = replies(200, '{"result": {"sta');
  await assert.rejects(answerByPost(fetch, {}), { name: "CallError", code: "unavailable" });
  await assert.rejects(call(fetch, "HitlService/GetPrompt", {}), { name: "CallError", code: "unavailable" });
  await assert.rejects(fetchSession(fetch), { name: "CallError", code: "unavailable" });
  // A connection that is dead without an end is given up.
  assert.ok(asked.every(({ init }) => init.signal instanceof AbortSignal));
});

test("the session: who is signed in, sign-in and sign-out", async () => {
  const [fetch, asked] = replies(200, { signedIn: true, subject: "ana" });
  assert.equal((await fetchSession(fetch)).subject, "ana");
  await signIn(fetch, { token: "t" });
  await signOut(fetch);
  assert.deepEqual(
    asked.map(({ path, init }) => [path, init.method ?? "GET", init.body ?? ""]),
    [
      ["/session", "GET", ""],
      ["/session", "POST", '{"token":"t"}'],
      ["/session/end", "POST", "{}"],
    ],
  );
  const [refused] = replies(401, { code: "unauthenticated", message: "unknown token" });
  await assert.rejects(signIn(refused, { token: "t" }), {
    code: "unauthenticated",
    message: "unknown token",
  });
  const [proxy] = replies(502, "<html>");
  await assert.rejects(fetchSession(proxy), { code: "unavailable" });
});
