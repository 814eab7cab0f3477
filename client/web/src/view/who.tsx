// The person who is signed in, in the header or, on a narrow screen, in the strip below it.

import { subjectOf, usePage } from "./page";
import { formatRoute, go, isPlainClick, route } from "./route";
import { Icon, Name } from "./ui";

/** Who is signed in. It leads to where they sign out. */
export function Who() {
  const page = usePage();
  const { groups = [] } = page.inbox.session.value;
  return (
    <a
      href={formatRoute({ view: "settings" }, route.value.query)}
      onClick={(event) => {
        if (!isPlainClick(event)) return;
        event.preventDefault();
        go({ view: "settings" });
      }}
    >
      <Icon name="person" />
      <Name text={subjectOf(page)} />
      {groups.length === 0 ? null : (
        <small>
          <Name text={groups.join(", ")} />
        </small>
      )}
    </a>
  );
}
