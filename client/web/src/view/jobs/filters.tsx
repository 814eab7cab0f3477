// The filters of the list of jobs. Their values stand in the address.

import { useSignal } from "@preact/signals";
import type { Job } from "../../wire/messages";
import { t } from "../../words/later";
import { isLabelCondition, isSameLabel } from "../conditions";
import { jobStateWords } from "../job_facts";
import { go } from "../route";
import { FilterChips } from "../ui";
import { ALL_JOBS, type JobQuery, STATES, stateOf } from "./job_query";

/** How many values a field offers. */
const MOST_OFFERED = 100;

type Texts = "types" | "creators" | "labels";

function change(filter: JobQuery): void {
  go({ view: "jobs", filter }, "replace");
}

interface JobFiltersProps {
  readonly filter: JobQuery;
  /** The jobs on the screen, whose values are offered. */
  readonly jobs: readonly Job[];
}

export function JobFilters({ filter, jobs }: JobFiltersProps) {
  const offered = (read: (job: Job) => readonly string[]) => [...new Set(jobs.flatMap(read))].sort();
  return (
    <search class="job-filters">
      <fieldset>
        <legend>{t("jobs.state")}</legend>
        <div class="job-states">
          {STATES.map((state) => (
            <label key={state} class="choice">
              <input
                type="checkbox"
                id={`state-${state}`}
                checked={filter.states.includes(state)}
                onChange={(event) => {
                  const isOn = event.currentTarget.checked;
                  const states = STATES.filter((one) => (one === state ? isOn : filter.states.includes(one)));
                  change({ ...filter, states });
                }}
              />
              {jobStateWords(stateOf(state))}
            </label>
          ))}
        </div>
      </fieldset>
      <div class="filter-more">
        <Choice
          label={t("jobs.type")}
          name="types"
          filter={filter}
          offered={offered((job) => [job.jobType ?? ""])}
        />
        <Choice
          label={t("jobs.creator")}
          name="creators"
          filter={filter}
          offered={offered((job) => [job.userId ?? ""])}
        />
        <Choice
          label={t("filter.label")}
          name="labels"
          filter={filter}
          offered={offered((job) =>
            Object.entries(job.labels ?? {}).map(([name, value]) => `${name}=${value}`),
          )}
        />
      </div>
      <Chips filter={filter} />
    </search>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly name: Texts;
  readonly filter: JobQuery;
  readonly offered: readonly string[];
}

/** A text field that offers the values of the jobs on the screen, and takes any other. */
function Choice({ label, name, filter, offered }: ChoiceProps) {
  const problem = useSignal("");
  const add = (field: HTMLInputElement) => {
    const value = field.value.trim();
    if (value === "" || filter[name].includes(value)) return;
    if (name === "labels" && !isLabelCondition(value)) {
      problem.value = t("jobs.label.wrong");
      return;
    }
    // Of a label, one value can hold.
    const others = name === "labels" ? filter.labels.filter((one) => !isSameLabel(one, value)) : filter[name];
    field.value = "";
    problem.value = "";
    change({ ...filter, [name]: [...others, value] });
  };
  return (
    <div>
      <label>
        <span>{label}</span>
        <input
          type="text"
          id={`filter-${name}`}
          list={`offered-${name}`}
          placeholder={t("jobs.add")}
          autocomplete="off"
          spellcheck={false}
          aria-invalid={problem.value === "" ? undefined : true}
          onChange={(event) => add(event.currentTarget)}
        />
      </label>
      <datalist id={`offered-${name}`}>
        {offered.slice(0, MOST_OFFERED).map((value) => (
          <option key={value} value={value} />
        ))}
      </datalist>
      {problem.value === "" ? null : (
        <p class="error-note" role="alert">
          {problem.value}
        </p>
      )}
    </div>
  );
}

function Chips({ filter }: { readonly filter: JobQuery }) {
  const chips = (["types", "creators", "labels"] as const).flatMap((name) =>
    filter[name].map((value) => ({ name, value })),
  );
  if (chips.length === 0 && filter.states.length === 0) return null;
  return (
    <FilterChips
      chips={chips}
      onRemove={({ name, value }) =>
        change({ ...filter, [name]: filter[name].filter((one) => one !== value) })
      }
      onClear={() => change(ALL_JOBS)}
    />
  );
}
