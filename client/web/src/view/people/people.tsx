// The directory of people, for admins: who is known, in which groups, and when each was last seen.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Person } from "../../wire/messages";
import { rich, t } from "../../words/later";
import { Absences } from "../absence_window";
import { readAbsences } from "../absences";
import { ErrorNote } from "../errors";
import { isAdmin } from "../roles";
import { usePage, useSignedIn } from "../page";
import { PlaceLink } from "../place_link";
import { instant } from "../prompt_facts";
import { go } from "../route";
import { Ago, FilterChips, Name } from "../ui";
import { ALL_PEOPLE, type PeopleQuery, writePeopleQuery } from "./people_query";

/** How many people are read at once. */
const PAGE = 200;
/** Milliseconds without a key after which the text is searched for. */
const PAUSE = 200;

function change(filter: PeopleQuery): void {
  go({ view: "people", filter }, "replace");
}

export function PeopleView({ filter }: { readonly filter: PeopleQuery }) {
  const { inbox } = usePage();
  return (
    <section class="jobs" aria-labelledby="people-title" data-focus-home>
      <h1 id="people-title" tabIndex={-1}>
        {t("people.title")}
      </h1>
      {isAdmin(inbox.session.value) ? (
        <>
          <p class="hint">{t("people.hint")}</p>
          <Filters filter={filter} />
          <Listing key={JSON.stringify(filter)} filter={filter} />
        </>
      ) : (
        <p>{t("people.forbidden")}</p>
      )}
    </section>
  );
}

function Filters({ filter }: { readonly filter: PeopleQuery }) {
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const search = (text: string) => {
    clearTimeout(timer.current);
    if (text !== filter.text) change({ ...filter, text });
  };
  return (
    <search class="job-filters">
      <div class="filter-more">
        <label>
          <span>{t("people.search")}</span>
          <input
            type="text"
            id="people-search"
            defaultValue={filter.text}
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => {
              const text = event.currentTarget.value.trim();
              clearTimeout(timer.current);
              timer.current = setTimeout(() => search(text), PAUSE);
            }}
            onChange={(event) => search(event.currentTarget.value.trim())}
          />
        </label>
      </div>
      <label class="choice">
        <input
          type="checkbox"
          id="people-everyone"
          checked={filter.everyone}
          onChange={(event) => change({ ...filter, everyone: event.currentTarget.checked })}
        />
        {t("people.everyone")}
      </label>
      {filter.group === "" ? null : (
        <FilterChips
          chips={[{ name: "group", value: filter.group, text: t("people.in_group", { name: filter.group }) }]}
          onRemove={() => change({ ...filter, group: "" })}
          onClear={() => change(ALL_PEOPLE)}
        />
      )}
    </search>
  );
}

/** The people that match, by subject, read page by page. */
function usePeople({ text, group, everyone }: PeopleQuery) {
  const { inbox } = usePage();
  const isSignedIn = useSignedIn();
  const people = useSignal<readonly Person[] | null>(null);
  /** The token of the next page; empty: there is none. */
  const next = useSignal("");
  const isReading = useSignal(false);
  const error = useSignal<unknown>(null);
  const read = async (pageToken: string) => {
    if (isReading.peek()) return;
    isReading.value = true;
    error.value = null;
    try {
      const reply = await inbox.call("AccessService/ListPeople", {
        query: text,
        group,
        includeInactive: everyone,
        pageSize: PAGE,
        pageToken,
      });
      people.value = [...(people.peek() ?? []), ...(reply.people ?? [])];
      next.value = reply.nextPageToken ?? "";
    } catch (problem) {
      error.value = problem;
    } finally {
      isReading.value = false;
    }
  };
  useEffect(() => {
    if (!isSignedIn || people.peek() !== null) return;
    void read("");
    readAbsences(inbox, "").catch((problem: unknown) => {
      error.value = problem;
    });
  }, [isSignedIn]);
  return { people, next, isReading, error, more: () => void read(next.peek()) };
}

function Listing({ filter }: { readonly filter: PeopleQuery }) {
  const { people, next, isReading, error, more } = usePeople(filter);
  const found = people.value;
  const hasMore = next.value !== "";
  return (
    <>
      {error.value === null ? null : <ErrorNote error={error.value} />}
      <p class="summary" role="status">
        {found === null
          ? error.value === null
            ? t("people.loading")
            : ""
          : t(hasMore ? "people.count.more" : "people.count", { n: found.length })}
      </p>
      {found === null ? null : found.length === 0 ? (
        <p class="empty empty-title">
          {t(writePeopleQuery(filter).size > 0 ? "people.none.filtered" : "people.none")}
        </p>
      ) : (
        <ol class="job-rows" aria-label={t("people.list")}>
          {found.map((person) => (
            <PersonRow key={person.subject} person={person} />
          ))}
        </ol>
      )}
      {hasMore ? (
        <button
          type="button"
          class="more"
          aria-disabled={isReading.value}
          onClick={() => {
            if (!isReading.peek()) more();
          }}
        >
          {t("people.more", { n: PAGE })}
        </button>
      ) : null}
    </>
  );
}

function PersonRow({ person }: { readonly person: Person }) {
  const { inbox } = usePage();
  const { subject = "", displayName = "", email = "", memberships = [] } = person;
  const groups = [...new Set(memberships.map(({ group = "" }) => group))];
  const seen = instant(person.lastSeenTime);
  return (
    <li class={person.active === true ? "job-row" : "job-row is-ended"} data-person={subject}>
      <div>
        <p class="job-name">
          <Name text={displayName === "" ? subject : displayName} />
        </p>
        {displayName === "" ? null : <Name text={subject} />}
      </div>
      <ul class="labels" aria-label={t("people.groups")}>
        {groups.map((group) => (
          <li key={group}>
            <PlaceLink place={{ view: "people", filter: { ...ALL_PEOPLE, group } }}>
              <Name text={group} />
            </PlaceLink>
          </li>
        ))}
      </ul>
      <div class="row-meta">
        {person.active === true ? null : <strong>{t("people.inactive")}</strong>}
        <span>
          {seen === undefined
            ? t("people.unseen")
            : rich("people.seen", { time: <Ago at={seen} now={() => inbox.now()} /> })}
        </span>
        {email === "" ? null : <Name text={email} />}
      </div>
      {person.active === true ? (
        <div class="row-away">
          <Absences subject={subject} />
        </div>
      ) : null}
    </li>
  );
}
