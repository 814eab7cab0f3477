import assert from "node:assert/strict";
import { test } from "node:test";
import type { CallError } from "../src/model/call_error";
import type { ConverseServerFrame } from "../src/wire/messages";
import { Stream, UNREADABLE } from "../src/wire/stream";
import { FakeClock, settle } from "./support/clock";
import { FakeNetwork } from "./support/sockets";

function open(welcome = {}) {
  const network = new FakeNetwork();
  const received: ConverseServerFrame[][] = [];
  const welcomes: number[] = [];
  const ends: [number, string, boolean][] = [];
  const stream = new Stream(
    new FakeClock(),
    network.openSocket,
    { consoleId: "c" },
    {
      welcomed: () => welcomes.push(1),
      received: (frames) => received.push([...frames]),
      closed: (code, reason, opened) => ends.push([code, reason, opened]),
    },
  );
  const socket = network.last;
  const welcomed = () => socket.welcome(welcome);
  return { stream, socket, received, ends, welcomed, welcomes };
}

test("the hello is the first frame, alone in its message", async () => {
  const { stream, socket } = open();
  assert.deepEqual(socket.frames, []);
  socket.open();
  await settle();
  assert.deepEqual(socket.messages, ['{"frames":[{"hello":{"consoleId":"c"}}]}']);
  await assert.rejects(stream.request({ getPrompt: {} }), { code: "unavailable" });
});

test("frames before the welcome and a second welcome are skipped", () => {
  const { socket, received, welcomes } = open();
  socket.open();
  socket.deliver({ promptEvent: { caughtUp: {} } });
  assert.deepEqual(received, []);
  socket.deliver({ promptEvent: { caughtUp: {} } }, { welcome: {} });
  assert.deepEqual(received, [[]]);
  socket.deliver({ welcome: { maxInFlight: 1 } }, { heartbeat: {} });
  assert.deepEqual(received.at(-1), [{ heartbeat: {} }]);
  assert.equal(welcomes.length, 1);
});

test("replies find their request, a doubled reply and one with an unknown ref do nothing", async () => {
  const { stream, socket, welcomed } = open();
  welcomed();
  const first = stream.request({ claimPrompt: { promptId: "a" } });
  const second = stream.request({ claimPrompt: { promptId: "b" } });
  await settle();
  const [, one, two] = socket.frames;
  assert.equal(socket.messages.length, 2, "requests of one moment are one message");
  socket.deliver({ ref: two?.ref ?? "", claimPrompt: { prompt: { promptId: "b" } } });
  socket.deliver({ ref: two?.ref ?? "", claimPrompt: { prompt: { promptId: "x" } } });
  socket.deliver({ ref: "99", claimPrompt: {} });
  socket.deliver({
    ref: one?.ref ?? "",
    error: { code: 9, reason: "ERROR_REASON_PROMPT_CLAIMED", message: "m" },
  });
  assert.equal((await second).claimPrompt?.prompt?.promptId, "b");
  await assert.rejects(first, {
    code: "failed_precondition",
    reason: "ERROR_REASON_PROMPT_CLAIMED",
    message: "m",
  });
});

test("at most max_in_flight requests wait for their replies", async () => {
  const { stream, socket, welcomed } = open({ maxInFlight: 2 });
  welcomed();
  const replies = ["a", "b", "c"].map((promptId) => stream.request({ claimPrompt: { promptId } }));
  await settle();
  assert.equal(socket.frames.length, 3);
  socket.deliver({ ref: "2", claimPrompt: {} });
  await settle();
  assert.equal(socket.frames.length, 4);
  socket.deliver({ ref: "1", claimPrompt: {} }, { ref: "3", claimPrompt: {} });
  assert.equal((await Promise.all(replies)).length, 3);
});

test("messages stay below the largest size, and what is larger is refused here", async () => {
  const { stream, socket, welcomed } = open({ maxMessageBytes: 1000 });
  welcomed();
  const comment = "ü".repeat(200);
  const answers = [1, 2, 3].map(() => stream.request({ answerPrompt: { comment } }));
  await assert.rejects(stream.request({ answerPrompt: { comment: "ü".repeat(600) } }), {
    code: "resource_exhausted",
  });
  await settle();
  assert.equal(socket.messages.length, 3, "the hello, two answers, one answer");
  assert.ok(socket.messages.every((text) => Buffer.byteLength(text) <= 1000));
  socket.end(1006);
  await Promise.allSettled(answers);
});

test("the end of the socket rejects what waits, once", async () => {
  const { stream, socket, ends, welcomed } = open();
  welcomed();
  const waiting = stream.request({ claimPrompt: {} });
  socket.end(1012, "drain");
  socket.end(1006);
  socket.deliver({ ref: "1", claimPrompt: {} });
  await assert.rejects(waiting, (error: CallError) => error.code === "unavailable" && error.reason === "");
  assert.deepEqual(ends, [[1012, "drain", true]]);
});

test("a message that is no JSON ends the stream as our bug", () => {
  const { socket, ends, welcomed } = open();
  welcomed();
  socket.text("{");
  assert.equal(ends[0]?.[0], UNREADABLE);
  assert.ok(socket.closedByPage);
});

test("a stream that leaves says goodbye and still takes replies, but no events", async () => {
  const { stream, socket, received, welcomed } = open({ maxInFlight: 1 });
  welcomed();
  const sent = stream.request({ claimPrompt: {} });
  const unsent = stream.request({ claimPrompt: {} });
  stream.leave();
  await assert.rejects(unsent, { code: "unavailable" });
  assert.deepEqual(socket.frames.at(-1), { goodbye: {} });
  const before = received.length;
  socket.deliver({ promptEvent: { upserted: {} } }, { ref: "1", claimPrompt: {} });
  await sent;
  assert.equal(received.length, before);
});

test("a socket that is discarded says nothing any more", () => {
  const { stream, socket, ends, received } = open();
  stream.discard();
  socket.open();
  socket.deliver({ welcome: {} });
  socket.end(1006);
  assert.deepEqual([ends, received, socket.frames], [[], [], []]);
  assert.ok(socket.closedByPage);
});
