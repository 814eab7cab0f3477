// Filters of the list of people, as they stand in the address.

export interface PeopleQuery {
  /** The beginning of a subject or of a word of a name. Empty: any. */
  readonly text: string;
  /** Empty: any. */
  readonly group: string;
  /** True: also people who are not active. */
  readonly everyone: boolean;
}

export const ALL_PEOPLE: PeopleQuery = { text: "", group: "", everyone: false };

export function readPeopleQuery(params: URLSearchParams): PeopleQuery {
  return {
    text: params.get("q") ?? "",
    group: params.get("group") ?? "",
    everyone: params.get("everyone") === "1",
  };
}

/** The address's part of the filters. */
export function writePeopleQuery({ text, group, everyone }: PeopleQuery): URLSearchParams {
  const params = new URLSearchParams();
  if (text !== "") params.set("q", text);
  if (group !== "") params.set("group", group);
  if (everyone) params.set("everyone", "1");
  return params;
}
