// The views and windows that are not needed for the first paint, in one chunk.

import { useEffect } from "preact/hooks";
import { OwnAbsence } from "./absence_window";
import { watchAbsence } from "./absences";
import { Bulk } from "./bulk";
import { Chosen } from "./chosen";
import { Delegate } from "./delegate";
import { FilterMore } from "./filter_more";
import { Help } from "./help";
import { Override } from "./override";
import { dialog, type Page } from "./page";
import { Palette } from "./palette";
import { route } from "./route";
import { Always } from "./rules/draft_window";
import { SettingsView } from "./settings";
import { SignOut } from "./sign_out";
import { Toast } from "./undo";

export { Chosen, FilterMore, SettingsView, Toast, watchAbsence };

/** The windows about the prompt of the address. */
const OF_PROMPT: readonly (string | null)[] = ["override", "delegate", "always"];

/** The window that is open. */
export function OpenWindow({ page }: { readonly page: Page }) {
  const isLeft = route.value.place.view !== "prompt" && OF_PROMPT.includes(dialog.value);
  // The browser's way back leaves the prompt: a page behind a window that is gone would take nothing.
  useEffect(() => {
    if (isLeft) dialog.value = null;
  }, [isLeft]);
  switch (dialog.value) {
    case "help":
      return <Help />;
    case "palette":
      return <Palette />;
    case "bulk":
      return <Bulk />;
    case "override":
      return <Override page={page} />;
    case "delegate":
      return <Delegate page={page} />;
    case "always":
      return <Always page={page} />;
    case "away":
      return <OwnAbsence page={page} />;
    case "sign-out":
      return <SignOut page={page} />;
    default:
      return null;
  }
}
