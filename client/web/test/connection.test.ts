import assert from "node:assert/strict";
import { test } from "node:test";
import { Connection, type SessionState } from "../src/wire/connection";
import type { ConverseServerFrame } from "../src/wire/messages";
import { FakeClock, seeded } from "./support/clock";
import { FakeNetwork } from "./support/sockets";

interface Setup {
  random?: () => number;
  session?: SessionState;
  agrees?: boolean[];
}

/** A connection, its sockets, and what it told. Random numbers are 1 less a little: each wait is its longest. */
function setup({ random = () => 0.999, session = "down", agrees = [] }: Setup = {}) {
  const clock = new FakeClock();
  const network = new FakeNetwork();
  const told: string[] = [];
  const browser = { visible: true, online: true, asked: 0, session };
  const connection = new Connection({
    clock,
    random,
    openSocket: network.openSocket,
    hello: () => ({ namespace: "n" }),
    visible: () => browser.visible,
    online: () => browser.online,
    askSession: async () => {
      browser.asked += 1;
      return browser.session;
    },
    sink: {
      snapshotBegins: () => told.push("snapshot"),
      resumes: () => told.push("resumes"),
      events: (events) => told.push(`events ${events.length}`),
      reset: (historyLost) => told.push(historyLost ? "reset, history lost" : "reset"),
      agrees: () => agrees.shift() ?? true,
      live: () => told.push("live"),
      lost: () => told.push("lost"),
      serverTime: () => told.push("time"),
      jumped: (ms) => told.push(`jumped ${ms}`),
      opened: () => told.push("opened"),
    },
  });
  const live = () => {
    network.last.welcome();
    network.last.caughtUp();
  };
  return { clock, network, told, browser, connection, live };
}

const hello = (network: FakeNetwork) => network.last.frames[0]?.hello;
const upserted = (promptId: string): ConverseServerFrame => ({
  promptEvent: { upserted: { prompt: { promptId } } },
});
const beats = (network: FakeNetwork) => network.last.frames.filter((frame) => frame.heartbeat).length;

/** Lets every attempt fail, and returns the waits before them in ms. */
async function waits(clock: FakeClock, network: FakeNetwork, count: number, code = 1006): Promise<number[]> {
  const found: number[] = [];
  for (let attempt = 0; attempt < count; attempt += 1) {
    network.last.end(code);
    const [sockets, began] = [network.sockets.length, clock.now()];
    while (network.sockets.length === sockets) {
      await clock.advance(10);
    }
    found.push(Math.round((clock.now() - began) / 100) * 100);
  }
  return found;
}

test("link: connecting, catching up, live", () => {
  const { connection, network, told } = setup();
  connection.start();
  assert.equal(connection.link.value, "connecting");
  network.last.welcome();
  assert.equal(connection.link.value, "catching_up");
  network.last.deliver(upserted("a"), upserted("b"));
  assert.equal(connection.link.value, "catching_up");
  network.last.caughtUp();
  assert.equal(connection.link.value, "live");
  assert.deepEqual(told, ["snapshot", "opened", "events 2", "live"]);
});

test("rule 4: the ladder goes to 30 s with full jitter, on the first wait too", async () => {
  const slow = setup();
  slow.connection.start();
  const longest = await waits(slow.clock, slow.network, 9);
  assert.deepEqual(longest, [1000, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  const quick = setup({ random: () => 0.5 });
  quick.connection.start();
  assert.deepEqual(await waits(quick.clock, quick.network, 4), [500, 500, 1000, 2000]);
});

test("rule 4: a welcome does not reset the ladder, caught_up does", async () => {
  const { clock, network, connection, live } = setup();
  connection.start();
  await waits(clock, network, 5);
  for (const expected of [16_000, 30_000]) {
    network.last.welcome(); // and crashes
    assert.deepEqual(await waits(clock, network, 1), [expected]);
  }
  live();
  assert.deepEqual(await waits(clock, network, 1), [1000]);
});

test("rule 4: at once when online or visible, but at most once in a second", async () => {
  const { clock, network, connection } = setup();
  connection.start();
  await waits(clock, network, 6);
  network.last.end(1006);
  const before = network.sockets.length;
  await clock.advance(5000);
  assert.equal(network.sockets.length, before, "the ladder waits");
  connection.networkChanged();
  assert.equal(network.sockets.length, before + 1);
  for (let press = 0; press < 20; press += 1) {
    network.last.end(1006);
    connection.wake();
    await clock.advance(100);
  }
  assert.ok(
    network.sockets.length <= before + 4,
    `${network.sockets.length - before} attempts in two seconds`,
  );
});

test("a storm: 300 pages that lose one proxy spread over the first second, and go on spreading", async () => {
  const pages = Array.from({ length: 300 }, (_, seed) => setup({ random: seeded(seed) }));
  for (const { connection, live } of pages) {
    connection.start();
    live();
  }
  for (const { network } of pages) {
    network.last.end(1012);
  }
  const perTick: number[] = [];
  for (let tick = 0; tick < 20; tick += 1) {
    const before = pages.reduce((sum, { network }) => sum + network.sockets.length, 0);
    for (const { clock, network } of pages) {
      await clock.advance(100);
      if (network.sockets.length > 1) {
        network.last.end(1006);
      }
    }
    perTick.push(pages.reduce((sum, { network }) => sum + network.sockets.length, 0) - before);
  }
  assert.ok(Math.max(...perTick) < 90, `attempts of 300 pages per 100 ms: ${perTick}`);
});

test("rule 6: close codes", async () => {
  for (const code of [1000, 1001, 1005, 1006, 1011, 1012, 4999]) {
    const { clock, network, connection, live } = setup();
    connection.start();
    live();
    assert.deepEqual(await waits(clock, network, 1, code), [1000], `${code}`);
    network.last.open();
    await clock.advance(0);
    assert.equal(hello(network)?.resumeToken, "t1");
  }
  for (const [code, link] of [
    [4401, "signed_out"],
    [4403, "forbidden"],
    [4409, "page_too_old"],
  ] as const) {
    const { clock, network, connection, live } = setup();
    connection.start();
    live();
    network.last.end(code, "the reason");
    assert.deepEqual([connection.link.value, connection.reason.value], [link, "the reason"]);
    connection.networkChanged();
    connection.wake();
    await clock.advance(120_000);
    assert.equal(network.sockets.length, 1, `${code} stops`);
  }
});

test("rule 6: 1013 waits at least 5 s, 4408 takes a new snapshot", async () => {
  const busy = setup({ random: () => 0 });
  busy.connection.start();
  busy.live();
  assert.deepEqual(await waits(busy.clock, busy.network, 1, 1013), [5000]);
  const slow = setup();
  slow.connection.start();
  slow.live();
  await waits(slow.clock, slow.network, 1, 4408);
  slow.live();
  assert.equal(hello(slow.network)?.resumeToken, "");
  assert.deepEqual(slow.told, ["snapshot", "opened", "live", "lost", "snapshot", "opened", "live"]);
});

test("rule 6: a bug of ours ends after three, even if every view caught up in between", async () => {
  const { clock, network, connection, live } = setup();
  connection.start();
  for (const code of [1007, 1009]) {
    live();
    await waits(clock, network, 1, code);
  }
  live();
  network.last.end(1009, "too big");
  assert.deepEqual([connection.link.value, connection.reason.value], ["offline", "too big"]);
  await clock.advance(120_000);
  assert.equal(network.sockets.length, 3);
});

test("after a failed open the session is asked: signed out and forbidden stop, down goes on", async () => {
  for (const session of ["signed_out", "forbidden"] as const) {
    const { clock, network, connection } = setup({ session });
    connection.start();
    network.last.end(1006);
    await clock.advance(60_000);
    assert.deepEqual([connection.link.value, network.sockets.length], [session, 1]);
  }
  const { clock, network, connection, browser, live } = setup();
  connection.start();
  live();
  network.last.end(1006);
  await clock.advance(0);
  assert.equal(browser.asked, 0, "the handshake had succeeded");
  await clock.advance(1000);
  network.last.end(1006);
  assert.equal(connection.link.value, "offline");
  await clock.advance(1000);
  assert.equal(browser.asked, 1);
  assert.equal(network.sockets.length, 3);
});

test("after a sign-in it connects again, with its resume token", async () => {
  const { clock, network, connection, live } = setup();
  connection.start();
  live();
  network.last.end(4401);
  connection.start();
  network.last.open();
  await clock.advance(0);
  assert.deepEqual([connection.link.value, hello(network)?.resumeToken], ["connecting", "t1"]);
});

test("no welcome within 10 s: the next attempt", async () => {
  const { clock, network, connection } = setup();
  connection.start();
  network.last.open();
  await clock.advance(9999);
  assert.equal(network.sockets.length, 1);
  await clock.advance(1100);
  assert.equal(network.sockets.length, 2);
  assert.ok(network.sockets[0]?.closedByPage);
  network.sockets[0]?.deliver({ welcome: {} });
  assert.equal(connection.link.value, "offline", "a late welcome does nothing");
});

test("go_away: the next socket takes over on its welcome, and only replies of the old one count", async () => {
  const { clock, network, connection, told, live } = setup();
  connection.start();
  live();
  const old = network.last;
  const reply = connection.request({ claimPrompt: { promptId: "p" } });
  old.deliver({ goAway: { after: "10s" } });
  await clock.advance(3000);
  old.deliver({ goAway: { after: "10s" } });
  await clock.advance(2000);
  assert.equal(network.sockets.length, 2, "one other socket");
  network.last.open();
  await clock.advance(0);
  assert.equal(hello(network)?.resumeToken, "t1");
  old.deliver(upserted("a"), { promptEvent: { bookmark: { resumeToken: "of another access" } } });
  assert.equal(connection.link.value, "live");
  network.last.deliver({ welcome: {} });
  assert.equal(connection.link.value, "catching_up");
  assert.deepEqual(old.frames.at(-1), { goodbye: {} });
  old.deliver(upserted("b"), { ref: "1", claimPrompt: { prompt: { promptId: "p" } } });
  assert.equal((await reply).claimPrompt?.prompt?.promptId, "p");
  old.end(1000);
  network.last.caughtUp();
  assert.equal(connection.link.value, "live");
  assert.deepEqual(told, ["snapshot", "opened", "live", "lost", "resumes", "opened", "live"]);
  await clock.advance(30_000);
  assert.equal(network.sockets.length, 2);
});

test("go_away: a failed successor climbs the ladder while the old stream serves", async () => {
  const { clock, network, connection, told, live } = setup();
  connection.start();
  live();
  const [old] = network.sockets;
  old?.deliver({ goAway: { after: "60s" } });
  await clock.advance(5000);
  old?.deliver(upserted("a"), { promptEvent: { bookmark: { resumeToken: "t2" } } });
  assert.deepEqual(told.slice(3), [], "it waits for the welcome of the next");
  assert.deepEqual(await waits(clock, network, 3), [1000, 1000, 2000]);
  assert.equal(connection.link.value, "live");
  assert.deepEqual(told.slice(3), ["events 1"]);
  network.last.open();
  await clock.advance(0);
  assert.equal(hello(network)?.resumeToken, "t2");
  old?.end(1012);
  assert.notEqual(connection.link.value, "live");
  live();
  assert.equal(connection.link.value, "live");
});

test("rule 5: a socket without a frame for 2.5 heartbeats is replaced at once, in a visible page only", async () => {
  const shown = setup();
  shown.connection.start();
  shown.live();
  const [silent] = shown.network.sockets;
  await shown.clock.advance(37_000);
  assert.equal(shown.connection.link.value, "live");
  await shown.clock.advance(5000);
  assert.equal(shown.network.sockets.length, 2);
  assert.ok(silent?.closedByPage);
  assert.equal(shown.connection.link.value, "connecting");
  silent?.deliver(upserted("a"));
  silent?.caughtUp();
  assert.equal(shown.connection.link.value, "connecting", "what comes over the old socket does nothing");

  const hidden = setup();
  hidden.connection.start();
  hidden.live();
  hidden.browser.visible = false;
  await hidden.clock.advance(3_600_000);
  assert.equal(hidden.network.sockets.length, 1, "timers of hidden pages give false alarms");
  hidden.browser.visible = true;
  hidden.connection.wake();
  assert.equal(hidden.network.sockets.length, 2, "judged at once when it is shown");
});

test("heartbeats of the server keep a socket, also over days", async () => {
  const { clock, network, connection, live } = setup();
  connection.start();
  live();
  for (let beat = 0; beat < 500; beat += 1) {
    await clock.advance(15_000);
    network.last.deliver({ heartbeat: { resumeToken: `h${beat}` } });
  }
  assert.equal(network.sockets.length, 1);
  assert.equal(beats(network) >= 500 && beats(network) <= 1100, true, `${beats(network)} heartbeats`);
});

test("sleep: a jump of the machine's clock replaces the socket and tells it, whatever timers do", async () => {
  const { clock, network, connection, told, live } = setup();
  connection.start();
  live();
  await clock.advance(2000);
  clock.sleep(8 * 3600_000);
  connection.wake();
  assert.equal(network.sockets.length, 2);
  assert.equal(connection.link.value, "connecting");
  live();
  assert.deepEqual(told.slice(3), ["lost", "jumped 28800000", "resumes", "opened", "live"]);
  clock.set(1500);
  await clock.advance(15_000);
  assert.equal(network.sockets.length, 2, "a time server's correction is no sleep");
  clock.set(-3600_000);
  await clock.advance(5000);
  assert.equal(network.sockets.length, 3, "noticed without a wake-up too");
});

test("presence: a hidden page that connects sends no heartbeat until it is shown", async () => {
  const { clock, network, connection, browser, live } = setup();
  connection.start();
  live();
  await clock.advance(0);
  assert.equal(beats(network), 1, "a visible page is present at once");
  browser.visible = false;
  network.last.end(1012);
  await clock.advance(1000);
  live();
  for (let beat = 0; beat < 10; beat += 1) {
    await clock.advance(15_000);
    network.last.deliver({ heartbeat: {} });
  }
  assert.equal(beats(network), 0);
  browser.visible = true;
  connection.wake();
  await clock.advance(0);
  assert.equal(beats(network), 1);
});

test("presence: a page that is hidden stays present, though its timers hardly run", async () => {
  const { clock, network, connection, browser, live } = setup();
  connection.start();
  live();
  browser.visible = false;
  for (let beat = 0; beat < 10; beat += 1) {
    clock.freeze(15_000);
    network.last.deliver({ heartbeat: {} });
    await clock.advance(0);
  }
  assert.ok(beats(network) >= 10);
});

test("finding 10: a socket that drops between welcome and caught_up takes the snapshot again", async () => {
  const { clock, network, connection, told, live } = setup();
  connection.start();
  network.last.welcome();
  network.last.deliver(upserted("a"), { heartbeat: { resumeToken: "too early" } });
  network.last.deliver({ promptEvent: { bookmark: { resumeToken: "too early" } } });
  network.last.end(1006);
  await clock.advance(1000);
  live();
  assert.equal(hello(network)?.resumeToken, "");
  assert.deepEqual(told, ["snapshot", "opened", "events 1", "snapshot", "opened", "live"]);
});

test("reset_view in the midst of a live stream: not live until the next caught_up, and its token serves again", async () => {
  const { clock, network, connection, told, live } = setup();
  connection.start();
  live();
  network.last.deliver({ promptEvent: { resetView: { historyLost: true } } }, upserted("a"));
  assert.equal(connection.link.value, "catching_up");
  assert.deepEqual(told.slice(3), ["lost", "reset, history lost", "events 1"]);
  network.last.end(1006);
  await clock.advance(1000);
  network.last.open();
  await clock.advance(0);
  assert.equal(hello(network)?.resumeToken, "t1", "the server says again that the history was lost");
});

test("a view that gets nothing for 30 s while it catches up starts again without its token", async () => {
  const { clock, network, connection, live } = setup();
  connection.start();
  live();
  network.last.end(1006);
  await clock.advance(1000);
  network.last.welcome();
  for (let beat = 0; beat < 3; beat += 1) {
    await clock.advance(12_000);
    network.last.deliver({ heartbeat: {} });
  }
  assert.equal(network.sockets.length, 3);
  live();
  assert.equal(hello(network)?.resumeToken, "");
});

test("a view that does not agree with the server's count is read once more, and only once", async () => {
  const { clock, network, connection, told, live } = setup({ agrees: [false, false] });
  connection.start();
  live();
  assert.equal(network.sockets.length, 2);
  live();
  await clock.advance(0);
  assert.equal(hello(network)?.resumeToken, "");
  assert.equal(connection.link.value, "live");
  assert.deepEqual(told, ["snapshot", "opened", "snapshot", "opened", "live"]);
});

test("a resumed view, whose prompts the server does not count, is not read again", async () => {
  const { clock, network, connection, live } = setup({ agrees: [true, false] });
  connection.start();
  live();
  network.last.end(1006);
  await clock.advance(1000);
  network.last.welcome();
  network.last.caughtUp("t2", -1);
  await clock.advance(0);
  assert.equal(network.sockets.length, 2);
  assert.equal(hello(network)?.resumeToken, "t1");
  assert.equal(connection.link.value, "live");
});

test("credit comes back in halves, for doubled and late prompts too", async () => {
  const { clock, network, connection } = setup();
  connection.start();
  network.last.welcome();
  assert.equal(hello(network)?.credit, 1000);
  for (let batch = 0; batch < 25; batch += 1) {
    network.last.deliver(...Array.from({ length: 100 }, () => upserted("same")));
  }
  await clock.advance(0);
  const credit = network.last.frames.filter((frame) => frame.credit).map((frame) => frame.credit?.prompts);
  assert.deepEqual(credit, [500, 500, 500, 500, 500]);
});

test("close says goodbye, and nothing reconnects", async () => {
  const { clock, network, connection, live } = setup();
  connection.start();
  live();
  connection.close();
  assert.deepEqual(network.last.frames.at(-1), { goodbye: {} });
  network.last.end(1000);
  connection.wake();
  connection.networkChanged();
  await clock.advance(120_000);
  assert.equal(network.sockets.length, 1);
  assert.equal(clock.timers, 0);
});

test("without a network the link is offline, and requests fail at once", async () => {
  const { connection, browser } = setup();
  browser.online = false;
  connection.start();
  assert.equal(connection.link.value, "offline");
  await assert.rejects(connection.request({ claimPrompt: {} }), { code: "unavailable" });
});
