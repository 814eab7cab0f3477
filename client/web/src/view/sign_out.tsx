// Signing out deletes the drafts of this browser, so text that was not sent is asked about first.

import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { t } from "../words/later";
import { dialog, type Page, subjectOf } from "./page";
import { tellTabs } from "../model/hints";
import { signOut } from "../model/session";
import { fetchHere } from "../model/start";
import { Dialog } from "./ui";

export function SignOut({ page }: { readonly page: Page }) {
  const drafts = useSignal<number | null>(null);
  const error = useSignal("");
  useEffect(() => {
    page.drafts.list().then(
      (ids) => {
        drafts.value = new Set([...ids, ...page.works.unsent()]).size;
      },
      () => {
        drafts.value = page.works.unsent().length;
      },
    );
  }, [page]);
  const close = () => {
    dialog.value = null;
  };
  const leave = async () => {
    try {
      await signOut(fetchHere);
      await page.drafts.clear().catch(() => undefined);
      tellTabs({ kind: "signed_out", subject: subjectOf(page) });
      page.inbox.close();
      location.assign("/");
    } catch {
      error.value = t("sign_out.failed");
    }
  };
  const n = drafts.value ?? 0;
  return (
    <Dialog title={t("sign_out")} onClose={close}>
      <div class="dialog-body">
        <p>{n > 0 ? t("sign_out.drafts", { n }) : t("sign_out.sure")}</p>
        {error.value === "" ? null : (
          <p class="error-note" role="alert">
            {error.value}
          </p>
        )}
      </div>
      <footer class="dialog-foot">
        <button
          type="button"
          class="button is-main"
          aria-disabled={drafts.value === null}
          onClick={() => void leave()}
        >
          {n > 0 ? t("sign_out.delete") : t("sign_out")}
        </button>
        <button type="button" class="button" onClick={close}>
          {t("cancel")}
        </button>
      </footer>
    </Dialog>
  );
}
