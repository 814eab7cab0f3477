// Parts of the page that load after the first paint.

import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { t } from "../words";

interface Lazy<P> {
  readonly Component: ComponentType<P>;
  /** Load it now, because it will be needed soon. */
  load(): void;
}

/** A component in a chunk of its own. While it loads its place says so; where it cannot be loaded, too. */
export function lazy<P extends object>(read: () => Promise<ComponentType<P>>): Lazy<P> {
  const found = signal<ComponentType<P> | null>(null);
  const failed = signal(false);
  let isLoading = false;
  const load = () => {
    if (isLoading || found.peek() !== null) return;
    isLoading = true;
    failed.value = false;
    read().then(
      (component) => {
        found.value = component;
      },
      () => {
        isLoading = false;
        failed.value = true;
      },
    );
  };
  function Component(props: P) {
    useEffect(load, []);
    const Found = found.value;
    if (Found !== null) return <Found {...props} />;
    return (
      <section class="detail is-blank" aria-label={t("detail.title")}>
        <p>{failed.value ? t("chunk.failed") : t("loading")}</p>
        {failed.value ? (
          <button type="button" class="button is-main" onClick={() => location.reload()}>
            {t("page.reload")}
          </button>
        ) : null}
      </section>
    );
  }
  return { Component, load };
}

/** The chunk of windows, and of what stands in the list later. */
export const windows = () => import("./windows");
