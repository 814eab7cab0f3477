// Search, filters, order and groups of the queue. Their values stand in the address.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { t } from "../words";
import { open } from "./keyboard";
import { kindWords, typeWords } from "./labels";
import { lazy, windows } from "./lazy";
import { arrangement } from "./list_state";
import { type Query, hasFilters } from "./query";
import { clearFilters, refine, route } from "./route";
import { FilterChips, Icon } from "./ui";

const isOpen = signal(false);
const FilterMore = lazy(async () => (await windows()).FilterMore);

export function Filters() {
  useEffect(FilterMore.load, []);
  const { query } = route.value;
  const active = query.kinds.length + query.types.length + query.labels.length + (query.group === "" ? 0 : 1);
  return (
    <search class="filters">
      <div class="filter-line">
        <label class="search">
          <Icon name="search" />
          <span class="visually-hidden">{t("search.label")}</span>
          <input
            type="search"
            id="search"
            value={query.search}
            placeholder={t("search.hint")}
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => refine({ search: event.currentTarget.value })}
            onKeyDown={openFirst}
          />
        </label>
        <button
          type="button"
          class="button"
          aria-expanded={isOpen.value}
          aria-controls="filter-more"
          onClick={() => {
            isOpen.value = !isOpen.value;
          }}
        >
          {t("filters.title")}
          {active > 0 ? <span class="count">{active}</span> : null}
        </button>
      </div>
      <div id="filter-more" hidden={!isOpen.value}>
        {isOpen.value ? <FilterMore.Component query={query} /> : null}
      </div>
      <Chips query={query} />
    </search>
  );
}

/** Enter opens the first hit. */
function openFirst(event: KeyboardEvent): void {
  const [first] = arrangement.peek().ids;
  if (event.key !== "Enter" || event.isComposing || first === undefined) return;
  event.preventDefault();
  open(first);
}

function Chips({ query }: { readonly query: Query }) {
  if (!hasFilters(query)) return null;
  const chips = [
    ...query.kinds.map((value) => ({ name: "kinds" as const, value, text: kindWords(value) })),
    ...query.types.map((value) => ({ name: "types" as const, value, text: typeWords(value) })),
    ...query.labels.map((value) => ({ name: "labels" as const, value })),
  ];
  return (
    <FilterChips
      chips={chips}
      onRemove={({ name, value }) => refine({ [name]: query[name].filter((one) => one !== value) })}
      onClear={clearFilters}
    />
  );
}
