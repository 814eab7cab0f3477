// The English texts of the list of people.

export const enPeople = {
  "people.hint": "Who is known here. It gives no right: what a person sees comes from its credentials.",
  "people.forbidden": "You have no right to see the list of people. It needs the role admin.",
  "people.search": "Name or subject begins with",
  "people.everyone": "Also people who are not active",
  "people.in_group": "Group {name}",
  "people.loading": "Loading the people…",
  "people.count": { one: "{n} person", other: "{n} people" },
  "people.count.more": { one: "{n} person, and more", other: "{n} people, and more" },
  "people.none": "No person is known yet",
  "people.none.filtered": "No person passes the filters",
  "people.list": "List of people",
  "people.more": "Show {n} more",
  "people.groups": "Groups",
  "people.inactive": "Not active",
  "people.seen": "Seen {time}",
  "people.unseen": "Not seen yet",
} as const;
