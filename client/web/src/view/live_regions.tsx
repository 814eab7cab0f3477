import { assertiveText, politeText } from "./live";

/** The two live regions. They are there from the first paint on, because screen readers watch only known ones. */
export function LiveRegions() {
  return (
    <>
      <div class="visually-hidden" role="status" aria-live="polite" id="polite">
        {politeText}
      </div>
      <div class="visually-hidden" role="alert" aria-live="assertive" id="assertive">
        {assertiveText}
      </div>
    </>
  );
}
