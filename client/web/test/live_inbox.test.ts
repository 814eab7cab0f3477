import assert from "node:assert/strict";
import { test } from "node:test";
import type { Hint, Hints } from "../src/model/hints";
import type { Submission } from "../src/model/inbox";
import { LiveInbox } from "../src/model/live_inbox";
import { isOpen } from "../src/model/view";
import { FakeClock, seeded, settle } from "./support/clock";
import { FakeService } from "./support/service";
import { FakeNetwork } from "./support/sockets";
import { FakeStore } from "./support/stores";

/** The hints of all tabs of one browser. */
class FakeHints {
  readonly #listeners = new Map<object, (hint: Hint) => void>();

  tab(): Hints {
    const own = {};
    return {
      send: (hint) => {
        for (const [tab, take] of this.#listeners) {
          if (tab !== own) {
            take(hint);
          }
        }
      },
      listen: (take) => {
        this.#listeners.set(own, take);
        return () => this.#listeners.delete(own);
      },
      close: () => {},
    };
  }
}

function setup(seed = 1) {
  const clock = new FakeClock();
  const random = seeded(seed);
  const service = new FakeService(clock, random);
  const browser = { visible: true, online: true };
  const hints = new FakeHints();
  const removed: string[] = [];
  let ids = 0;
  const open = (store = new FakeStore(), session = {}) =>
    new LiveInbox({
      clock,
      random,
      openSocket: service.openSocket,
      fetch: service.fetch,
      store,
      hints: hints.tab(),
      drafts: {
        remove: async (id) => {
          removed.push(id);
        },
      },
      session: { signedIn: true, subject: "ana", pageVersion: "v1", ...session },
      pageVersion: "v1",
      tab: "t",
      namespace: "",
      filter: {},
      newId: () => `a${++ids}`,
      visible: () => browser.visible,
      online: () => browser.online,
    });
  return { clock, random, service, browser, hints, removed, open };
}

const away = (inbox: LiveInbox) => inbox.away.value;
const openRows = (inbox: LiveInbox) =>
  [...inbox.rows.value].filter(([, row]) => isOpen(row)).map(([id]) => id);
const press = (promptId: string, revision = 1) =>
  ({ promptId, revision, decision: "DECISION_ACCEPT" }) as const;

test("open, answer, accepted: the row becomes a tombstone of ours, and the draft goes", async () => {
  const { clock, service, removed, open } = setup();
  const id = service.ask();
  const inbox = open();
  assert.equal(inbox.canDecide.value, false);
  assert.equal(inbox.submit(press(id)), false, "rule 10: no answer before the view is live");
  await clock.advance(10);
  assert.deepEqual([inbox.link.value, openRows(inbox)], ["live", [id]]);
  assert.equal(inbox.submit(press(id)), true);
  assert.equal(inbox.submission(id).value?.state, "sending");
  await clock.advance(10);
  assert.equal(inbox.submission(id).value?.state, "accepted");
  assert.deepEqual([openRows(inbox), inbox.rows.value.get(id)?.closed?.mine, removed], [[], true, [id]]);
});

test("two tabs of one person press the same prompt: one counts, the other one is told", async () => {
  const { clock, service, open } = setup();
  const id = service.ask();
  const [one, two] = [open(), open()];
  await clock.advance(10);
  one.submit(press(id));
  two.submit(press(id));
  await clock.advance(10);
  assert.deepEqual([one, two].map((tab) => tab.submission(id).value?.state).sort(), ["accepted", "closed"]);
  assert.deepEqual([one, two].map((tab) => tab.rows.value.get(id)?.closed?.mine).sort(), [false, true]);
});

test("an amended prompt is stale: both contents are there, and a fresh press counts", async () => {
  const { clock, service, open } = setup();
  const id = service.ask();
  const inbox = open();
  await clock.advance(10);
  service.amend(id);
  inbox.submit(press(id, 1));
  await clock.advance(10);
  const stale = inbox.submission(id).value as Extract<Submission, { state: "stale" }>;
  assert.deepEqual([stale.state, stale.body.revision, stale.prompt.revision], ["stale", 1, 2]);
  inbox.forgetSubmission(id);
  inbox.submit(press(id, 2));
  await clock.advance(10);
  assert.equal(inbox.submission(id).value?.state, "accepted");
});

test("you were away: closed and added while the socket was down, not in the moments of a move", async () => {
  const { clock, service, open, browser } = setup();
  const [a, b] = [service.ask(), service.ask()];
  const inbox = open();
  await clock.advance(20_000);
  assert.equal(away(inbox), null);
  service.faults.refuse = 1;
  browser.online = false;
  for (const conversation of service.conversations) {
    conversation.drop();
  }
  await clock.advance(60_000);
  assert.equal(inbox.canDecide.value, false);
  service.answer({ promptId: a, revision: 1, answerId: "theirs" }, "ben");
  service.answer({ promptId: b, revision: 1, answerId: "theirs" }, "ben");
  service.ask();
  service.faults.refuse = 0;
  browser.online = true;
  const before = inbox.now();
  inbox.networkChanged();
  await clock.advance(2000);
  assert.equal(inbox.link.value, "live");
  assert.deepEqual([away(inbox)?.closed, away(inbox)?.added], [2, 1]);
  assert.ok((away(inbox)?.since ?? 0) < before - 50_000);
  inbox.dismissAway();
  service.faults.goAway = 1;
  await clock.advance(15_000);
  service.faults.goAway = 0;
  service.ask();
  await clock.advance(30_000);
  assert.deepEqual([away(inbox), openRows(inbox).length], [null, 2]);
});

test("rule 17: steadySince is the last wake-up or catch-up", async () => {
  const { clock, open } = setup();
  const inbox = open();
  await clock.advance(5000);
  const caughtUp = inbox.steadySince.value;
  assert.ok(caughtUp < clock.now());
  inbox.wake();
  assert.equal(inbox.steadySince.value, clock.now());
});

test("rule 34: another version of the page is noticed, by the session and over a hint", async () => {
  const { clock, service, open } = setup();
  const fetch = service.fetch;
  const inbox = open();
  await clock.advance(10);
  assert.equal(inbox.newerPage.value, false);
  Object.assign(service, {
    fetch: async (path: string, init: RequestInit) =>
      path === "/session"
        ? Response.json({ signedIn: true, subject: "ana", pageVersion: "v2" })
        : fetch(path, init),
  });
  const other = open(new FakeStore(), { pageVersion: "v2" });
  await settle();
  assert.equal(other.newerPage.value, true);
  assert.equal(inbox.newerPage.value, false, "a hint makes a page ask; it asks the gateway that it has");
  const renewed = open();
  await clock.advance(5 * 60_000 + 10);
  assert.equal(renewed.newerPage.value, true);
});

test("signed out elsewhere: noticed by the session, ended, and continued after a sign-in of the same person", async () => {
  const { clock, service, open } = setup();
  const id = service.ask();
  const session: { signedIn: boolean; subject?: string } = { signedIn: true, subject: "ana" };
  const fetch = service.fetch;
  Object.assign(service, {
    fetch: async (path: string, init: RequestInit) =>
      path === "/session" ? Response.json(session) : fetch(path, init),
  });
  const inbox = open();
  await clock.advance(10);
  session.signedIn = false;
  await clock.advance(5 * 60_000 + 10);
  assert.equal(inbox.link.value, "signed_out");
  assert.deepEqual(openRows(inbox), [id], "what was on the screen stays");
  assert.equal(inbox.signedIn({ signedIn: true, subject: "ben" }), false);
  assert.equal(inbox.link.value, "signed_out", "another person has the browser now");
  session.signedIn = true;
  assert.equal(inbox.signedIn(session), true);
  await clock.advance(10);
  assert.equal(inbox.link.value, "live");
});

test("another person signs in with this browser: their cookie sends nothing that this page holds", async () => {
  const { clock, service, open, hints } = setup();
  const id = service.ask();
  const session = { signedIn: true, subject: "ana" };
  const fetch = service.fetch;
  Object.assign(service, {
    fetch: async (path: string, init: RequestInit) =>
      path === "/session" ? Response.json(session) : fetch(path, init),
  });
  const inbox = open();
  await clock.advance(10);
  Object.assign(service.faults, { refuse: 1 });
  for (const conversation of service.conversations) {
    conversation.drop();
  }
  inbox.submit(press(id, 1));
  await clock.advance(10);
  session.subject = "ben";
  hints.tab().send({ kind: "signed_in" });
  await clock.advance(10);
  assert.deepEqual([inbox.link.value, inbox.canDecide.value], ["signed_out", false]);
  Object.assign(service.faults, { refuse: 0 });
  await clock.advance(3600_000);
  assert.equal(service.prompts.get(id)?.prompt.state, "PROMPT_STATE_PENDING");
  session.subject = "ana";
  hints.tab().send({ kind: "signed_in" });
  inbox.signedIn({ signedIn: true, subject: "ana" });
  await clock.advance(60_000);
  assert.equal(inbox.submission(id).value?.state, "accepted");
});

test("another filter takes a snapshot, without tombstones of what does not match any more", async () => {
  const { clock, service, open } = setup();
  service.ask();
  const inbox = open();
  await clock.advance(10);
  const sockets = service.sockets;
  inbox.setFilter("", {});
  assert.equal(service.sockets, sockets, "the filter is the old one");
  for (const stored of service.prompts.values()) {
    stored.prompt = { ...stored.prompt, resolution: {} }; // does not match any more
  }
  inbox.setFilter("", { kinds: ["confirm"] });
  await clock.advance(10);
  assert.deepEqual([inbox.link.value, inbox.rows.value.size, away(inbox)], ["live", 0, null]);
});

test("a clock that is an hour wrong changes no time that is shown", async () => {
  const { clock, open } = setup();
  const inbox = open();
  await clock.advance(16_000);
  const service = inbox.now();
  const [now, wall] = [clock.now(), clock.wall()];
  assert.equal(service, wall);
  clock.set(3600_000);
  assert.equal(inbox.now(), service);
  assert.equal(clock.now(), now);
});

/** An inbox whose sockets the test drives; the network for everything else is down. */
function wired() {
  const clock = new FakeClock();
  const network = new FakeNetwork();
  const inbox = new LiveInbox({
    clock,
    random: () => 0.5,
    openSocket: network.openSocket,
    fetch: async () => {
      throw new TypeError("Failed to fetch");
    },
    store: new FakeStore(),
    hints: new FakeHints().tab(),
    drafts: { remove: async () => {} },
    session: { signedIn: true, subject: "ana" },
    pageVersion: "v1",
    tab: "t",
    namespace: "",
    filter: {},
    newId: () => "id",
    visible: () => true,
    online: () => true,
  });
  network.last.welcome();
  network.last.caughtUp("t1", 0);
  return { clock, network, inbox };
}

const upserted = (promptId: string, version: string) => ({
  promptEvent: { upserted: { prompt: { promptId, version, revision: 1 } } },
});

test("a prompt that comes in the moment of a move to another replica is no news of an absence", async () => {
  const { clock, network, inbox } = wired();
  await clock.advance(15_000);
  network.last.deliver({ goAway: { after: "10s" } });
  await clock.advance(5000);
  assert.equal(network.sockets.length, 2);
  network.last.welcome();
  assert.equal(inbox.canDecide.value, false);
  network.last.deliver(upserted("new", "1"));
  network.last.caughtUp("t2", 1);
  assert.deepEqual([inbox.canDecide.value, inbox.rows.value.size, away(inbox)], [true, 1, null]);
  network.last.end(1006);
  await clock.advance(3000);
  network.last.welcome();
  network.last.deliver(upserted("newer", "2"));
  network.last.caughtUp("t3", 2);
  assert.deepEqual([away(inbox)?.closed, away(inbox)?.added], [0, 1]);
});

test("an answer that lost its socket goes out on the welcome of the next one, before anything else", async () => {
  const { clock, network, inbox } = wired();
  network.last.deliver(upserted("p", "1"));
  assert.equal(inbox.submit(press("p")), true);
  await clock.advance(0);
  const sent = network.last.frames.at(-1)?.answerPrompt;
  network.last.end(1006);
  await clock.advance(700);
  network.last.open();
  network.last.welcome();
  await settle();
  assert.deepEqual(network.last.frames.find((frame) => frame.answerPrompt)?.answerPrompt, sent);
  assert.equal(inbox.canDecide.value, false);
  assert.equal(inbox.submission("p").value?.state, "sending");
});

test("a joint decision is one frame, goes out again unchanged, and its rows close with their events", async () => {
  const { clock, service, removed, open } = setup();
  const [a, b, stale] = [service.ask(), service.ask(), service.ask()];
  const inbox = open();
  const shown = [a, b, stale].map((promptId) => ({ promptId, revision: promptId === stale ? 9 : 1 }));
  const decided = { decision: "DECISION_REJECT", comment: "no" } as const;
  assert.equal(inbox.submitTogether(shown, decided), false, "rule 10: no answer before the view is live");
  await clock.advance(10);
  // The first try is lost with its socket.
  for (const conversation of service.conversations) conversation.drop();
  assert.equal(inbox.submitTogether(shown, decided), true);
  await clock.advance(60_000);
  const states = shown.map(({ promptId }) => inbox.submission(promptId).value?.state);
  assert.deepEqual(states, ["accepted", "accepted", "stale"]);
  const sent = inbox.submission(a).value;
  assert.equal(sent?.state === "accepted" && sent.prompt.resolution?.answer?.decision, "DECISION_REJECT");
  assert.deepEqual([openRows(inbox), removed], [[stale], [a, b]]);
  assert.equal(inbox.rows.value.get(a)?.closed?.mine, true);
});

interface Pressed {
  readonly id: string;
  readonly inbox: LiveInbox;
}

/**
 * Ten minutes of a bad network, of sleeps, reloads and colleagues. Afterwards the page and the service agree: on
 * the open prompts, and on each answer.
 */
async function badDay(seed: number): Promise<void> {
  const { clock, random, service, browser, open } = setup(seed);
  const store = new FakeStore();
  const pick = <T>(from: readonly T[]): T | undefined => from[Math.floor(random() * from.length)];
  for (let count = 0; count < 5; count += 1) {
    service.ask();
  }
  Object.assign(service.faults, {
    refuse: random() * 0.6,
    die: random() * 0.1,
    end: random() * 0.2,
    double: random() * 0.5,
    delayMs: random() * 3000,
    goAway: random() * 0.3,
    reset: random() * 0.3,
  });
  let inbox = open(store);
  const pressed: Pressed[] = [];
  const began = clock.now();
  while (clock.now() < began + 600_000) {
    await clock.advance(random() * 5000);
    const action = random();
    const target = pick(service.open)?.promptId ?? "";
    if (action < 0.2) {
      service.ask();
    } else if (action < 0.25 && target) {
      service.amend(target);
    } else if (action < 0.35 && target) {
      const revision = service.prompts.get(target)?.prompt.revision ?? 0;
      service.answer({ promptId: target, revision, answerId: `theirs ${target}` }, "ben");
    } else if (action < 0.6) {
      const id = pick(openRows(inbox));
      const row = id ? inbox.rows.value.get(id) : undefined;
      const live = inbox.link.value === "live";
      if (id && row && inbox.submit(press(id, row.prompt.revision))) {
        assert.ok(live, "an answer is taken from a live page only");
        pressed.push({ id, inbox });
      }
    } else if (action < 0.65) {
      clock.sleep(random() * 3600_000);
      inbox.wake();
    } else if (action < 0.7) {
      browser.visible = !browser.visible;
      if (browser.visible) {
        inbox.wake();
      }
    } else if (action < 0.73) {
      inbox.close(); // and reload
      inbox = open(store);
    } else if (action < 0.75) {
      service.loseHistory();
    }
  }
  Object.assign(service.faults, { refuse: 0, die: 0, end: 0, double: 0, delayMs: 0, goAway: 0, reset: 0 });
  browser.visible = true;
  inbox.wake();
  await clock.advance(120_000);

  assert.equal(inbox.link.value, "live");
  const rows = [...inbox.rows.value.values()]
    .filter(isOpen)
    .map(({ prompt }) => `${prompt.promptId} ${prompt.version}`);
  const truth = service.open.map((prompt) => `${prompt.promptId} ${prompt.version}`);
  assert.deepEqual(rows.sort(), truth.sort());
  assert.equal(service.conversations.size, 1, "one socket");
  assert.deepEqual(store.keys(), [], "no answer is on its way");
  for (const { id, inbox: page } of pressed) {
    const result = page.submission(id).value;
    const ours = service.prompts.get(id)?.prompt.resolution?.answer?.userId === "ana";
    if (page === inbox && result !== null) {
      assert.ok(result.state !== "sending" && result.state !== "unconfirmed", `${id}: ${result.state}`);
      assert.ok(result.state !== "accepted" || ours, `${id} is said to be accepted`);
      assert.ok(result.state !== "refused", `${id} was refused`);
    }
  }
  for (const [id, { verdicts }] of service.prompts) {
    const accepted = [...verdicts.values()].filter(
      ({ result }) => result.status === "ANSWER_STATUS_ACCEPTED",
    );
    assert.ok(accepted.length <= 1, id);
  }
  inbox.close();
}

const SEEDS = Number(process.env.ASKBACK_WEB_SEEDS ?? "60");
test(`bad days with ${SEEDS} seeds: page and service agree afterwards`, async () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    await badDay(seed).catch((error: unknown) => {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.stack : error}`);
    });
  }
});
