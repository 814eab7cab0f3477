import assert from "node:assert/strict";
import { test } from "node:test";
import { Connection } from "../src/wire/connection";
import { eventSockets } from "../src/wire/event_socket";
import { withFallback } from "../src/wire/fallback";
import type { PromptEvent } from "../src/wire/messages";
import { FakeClock, settle } from "./support/clock";
import { FakeGateway } from "./support/gateway";
import { FakeNetwork } from "./support/sockets";

function setup() {
  const clock = new FakeClock();
  const gateway = new FakeGateway();
  const network = new FakeNetwork();
  const told: string[] = [];
  const events: PromptEvent[] = [];
  const connection = new Connection({
    clock,
    random: () => 0.5,
    openSocket: withFallback(network.openSocket, eventSockets(gateway.fetch)),
    hello: () => ({ namespace: "n", filter: { kinds: ["confirm", "clarify"], jobId: "" } }),
    visible: () => true,
    online: () => true,
    askSession: async () => "signed_in",
    sink: {
      snapshotBegins: () => told.push("snapshot"),
      resumes: () => told.push("resumes"),
      events: (more) => events.push(...more),
      reset: () => told.push("reset"),
      agrees: () => true,
      live: () => told.push("live"),
      lost: () => told.push("lost"),
      serverTime: () => {},
      jumped: () => {},
      opened: () => told.push("opened"),
    },
  });
  return { clock, gateway, network, told, events, connection };
}

/** WebSockets are blocked: two handshakes fail, and the third attempt takes the events. */
async function fallBack(): Promise<ReturnType<typeof setup>> {
  const it = setup();
  it.connection.start();
  for (let attempt = 0; attempt < 2; attempt += 1) {
    it.network.last.end(1006);
    await it.clock.advance(1000);
  }
  await settle();
  return it;
}

const caughtUp = {
  events: [{ upserted: { prompt: { promptId: "p" } } }, { caughtUp: { resumeToken: "t1" } }],
};

test("where WebSockets are blocked the view comes as server-sent events", async () => {
  const { clock, gateway, network, told, events, connection } = await fallBack();
  assert.equal(network.sockets.length, 2);
  assert.equal(gateway.asked[0]?.path, "/events/prompts?namespace=n&kinds=confirm&kinds=clarify");
  await gateway.message("", caughtUp);
  assert.deepEqual([connection.link.value, told, events.length], ["live", ["snapshot", "opened", "live"], 1]);
  for (let comment = 0; comment < 10; comment += 1) {
    await clock.advance(15_000);
    await gateway.write(": nothing happened\n\n");
  }
  assert.equal(connection.link.value, "live");
  connection.close();
});

test("its end is resumed from the last position, after one attempt with a WebSocket", async () => {
  const { clock, gateway, network, connection } = await fallBack();
  await gateway.message("", caughtUp);
  await gateway.end();
  await clock.advance(1000);
  assert.equal(network.sockets.length, 3, "a person may have left the network that blocks them");
  network.last.end(1006);
  await clock.advance(1000);
  assert.deepEqual([network.sockets.length, gateway.asked.at(-1)?.position], [3, "t1"]);
  await gateway.end();
  await clock.advance(2000);
  network.last.welcome();
  network.last.caughtUp();
  assert.equal(connection.link.value, "live");
  network.last.end(1006);
  await clock.advance(1000);
  assert.equal(network.sockets.length, 5, "a WebSocket that worked is tried again");
  connection.close();
});

test("requests go by POST, and their replies and errors come as frames", async () => {
  const { gateway, connection } = await fallBack();
  await gateway.message("", caughtUp);
  gateway.refusal = Response.json({ prompt: { promptId: "p", claimedBy: "ana" } });
  const claimed = await connection.request({ claimPrompt: { promptId: "p" } });
  assert.equal(claimed.claimPrompt?.prompt?.claimedBy, "ana");
  assert.equal(gateway.asked.at(-1)?.path, "/askback.v1.HitlService/ClaimPrompt");
  const stale = { status: "ANSWER_STATUS_STALE", answerId: "a" };
  gateway.refusal = Response.json(
    { code: "aborted", message: "", details: [{ type: "askback.v1.AnswerResult", debug: stale }] },
    { status: 409 },
  );
  const answered = await connection.request({ answerPrompt: { promptId: "p", answerId: "a" } });
  assert.equal(answered.answerPrompt?.result?.status, "ANSWER_STATUS_STALE");
  const details = [
    { type: "google.rpc.ErrorInfo", debug: { reason: "ERROR_REASON_QUEUE_FULL" } },
    { type: "google.rpc.RetryInfo", debug: { retryDelay: "2s" } },
  ];
  gateway.refusal = Response.json({ code: "resource_exhausted", message: "m", details }, { status: 429 });
  await assert.rejects(connection.request({ releasePrompt: { promptId: "p" } }), {
    code: "resource_exhausted",
    reason: "ERROR_REASON_QUEUE_FULL",
    retryAfterMs: 2000,
  });
  await assert.rejects(connection.request({ listAnswers: {} }), { code: "unimplemented" });
  connection.close();
});

test("refusals of the events end as those of a socket do", async () => {
  for (const [code, status, link] of [
    ["unauthenticated", 401, "signed_out"],
    ["permission_denied", 403, "forbidden"],
    ["unavailable", 503, "offline"],
  ] as const) {
    const it = setup();
    it.gateway.refusal = Response.json({ code, message: "m" }, { status });
    it.connection.start();
    for (let attempt = 0; attempt < 2; attempt += 1) {
      it.network.last.end(1006);
      await it.clock.advance(1000);
    }
    await settle();
    assert.equal(it.connection.link.value, link);
    it.connection.close();
  }
});

test("only handshakes that fail one after another count", () => {
  const [first, second] = [new FakeNetwork(), new FakeNetwork()];
  const open = withFallback(first.openSocket, second.openSocket);
  const attempt = (run: (socket: FakeNetwork["last"]) => void) => {
    open({ opened: () => {}, received: () => {}, closed: () => {} });
    run(first.last);
  };
  for (let time = 0; time < 5; time += 1) {
    attempt((socket) => {
      socket.open();
      socket.end(1012);
    });
    attempt((socket) => socket.end(1006));
  }
  attempt((socket) => socket.open());
  assert.deepEqual([first.sockets.length, second.sockets.length], [11, 0]);
});
