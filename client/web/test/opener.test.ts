import assert from "node:assert/strict";
import { test } from "node:test";
import { signal } from "@preact/signals";
import type { Drafts } from "../src/model/drafts";
import type { Inbox, Link } from "../src/model/inbox";
import type { Session } from "../src/model/session";
import { Opener } from "../src/view/opener";
import { settle } from "./support/clock";

const ana: Session = { signedIn: true, subject: "ana" };
const ben: Session = { signedIn: true, subject: "ben" };

/** A gateway whose session and a page whose inboxes the test sees; an inbox opens when the test lets it. */
function setup(first: Session) {
  const opened: {
    readonly subject: string;
    readonly link: { value: Link };
    closed: number;
    resumed: number;
    /** What happened at its end, in order. */
    readonly ended: string[];
  }[] = [];
  const waiting: (() => void)[] = [];
  const left: string[] = [];
  const gateway = { session: first };
  const opener = new Opener(
    async ({ subject = "" }) => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      const it = { subject, link: signal<Link>("live"), closed: 0, resumed: 0, ended: [] as string[] };
      opened.push(it);
      const signedIn = (session: Session) => {
        if (session.subject !== subject) return false;
        it.resumed += 1;
        it.link.value = "live";
        return true;
      };
      const close = () => {
        it.closed += 1;
        it.ended.push("closed");
      };
      const clear = async () => void it.ended.push("drafts deleted");
      const drafts = { clear } as Partial<Drafts> as Drafts;
      return { inbox: { link: it.link, signedIn } as unknown as Inbox, drafts, close };
    },
    async () => gateway.session,
    () => left.push(gateway.session.subject ?? ""),
  );
  const finish = async () => {
    for (await settle(); waiting.length > 0; await settle()) waiting.shift()?.();
  };
  return { opener, opened, gateway, finish, left };
}

test("the form and a hint of another tab at the same moment open one inbox", async () => {
  const { opener, opened, finish } = setup(ana);
  const both = Promise.all([opener.enter(ana), opener.look(), opener.look()]);
  await finish();
  await both;
  assert.deepEqual(
    opened.map(({ subject, closed }) => [subject, closed]),
    [["ana", 0]],
  );
});

test("a person who signs in again keeps the page; another person gets an empty one", async () => {
  const { opener, opened, gateway, finish, left } = setup(ana);
  const page = () => {
    const now = opener.state.value;
    return now.kind === "open" ? now.page : null;
  };
  void opener.look();
  await finish();
  const first = page();
  const [inbox] = opened;
  assert.ok(inbox && first);
  inbox.link.value = "signed_out";
  await opener.look();
  assert.deepEqual([page() === first, inbox.resumed, inbox.closed, left], [true, 1, 0, []]);
  inbox.link.value = "signed_out";
  gateway.session = ben;
  void opener.look();
  await finish();
  assert.deepEqual([inbox.closed, opened.map(({ subject }) => subject)], [1, ["ana", "ben"]]);
  assert.notEqual(page()?.works, first.works);
  assert.deepEqual(left, ["ben"], "what the person before had open is closed");
});

test("a person who signs out in another tab leaves nothing here; no other person's page goes", async () => {
  const { opener, opened, gateway, finish } = setup(ana);
  void opener.look();
  await finish();
  const [inbox] = opened;
  assert.ok(inbox);
  await opener.left("ben");
  assert.deepEqual([opener.state.value.kind, inbox.ended], ["open", []]);
  await opener.left("ana");
  assert.deepEqual([opener.state.value.kind, inbox.ended], ["asking", ["drafts deleted", "closed"]]);
  gateway.session = { signedIn: false };
  await opener.look();
  assert.equal(opener.state.value.kind, "signed_out");
  await opener.left("ana");
  assert.equal(opener.state.value.kind, "signed_out");
});

test("an inbox that cannot be opened leaves the way free for the next attempt", async () => {
  let attempts = 0;
  const opener = new Opener(
    async () => {
      attempts += 1;
      throw new Error("no storage");
    },
    async () => ana,
    () => undefined,
  );
  await assert.rejects(opener.look());
  await assert.rejects(opener.enter(ana));
  assert.equal(attempts, 2);
});
