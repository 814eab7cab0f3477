"""What views keep in memory until they can tell it: the newest images of jobs and prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

from askback_server.domain.errors import LimitExceeded
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import Prompt
from askback_server.sessions.unsent import FRAME, Account, weight

Image: TypeAlias = Job | Prompt

VIEW_ENTRIES = 2_000
VIEW_BYTES = 2 * 1024 * 1024
"""Live changes that one view keeps; above that it falls behind."""


class Images:
    """The live changes that all views of a replica keep. An image that many views keep is counted once.

    When all keep too much, the views of the principal with the most fall behind: each forgets what it keeps,
    and reads it again from the database. If that is not enough, because it is being written, that principal's
    streams end.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._views: set[ViewImages] = set()
        self._keepers: Counter[int] = Counter()
        """How many views keep an image, by its `id`."""
        self.total = 0

    def of_view(self, account: Account, fall_behind: Callable[[], None]) -> ViewImages:
        """What one view keeps. `fall_behind` makes it forget what is not being written, `account` is that of
        its stream; close it at the end."""
        view = ViewImages(self, account, fall_behind)
        self._views.add(view)
        return view

    def add(self, image: Image, size: int) -> None:
        """A view keeps an image."""
        self._keepers[id(image)] += 1
        self.total += FRAME + (size if self._keepers[id(image)] == 1 else 0)

    def remove(self, image: Image, size: int) -> None:
        """A view keeps an image no more."""
        self._keepers[id(image)] -= 1
        self.total -= FRAME
        if not self._keepers[id(image)]:
            del self._keepers[id(image)]
            self.total -= size

    def shrink(self) -> None:
        """Bring the total below the limit."""
        while self.total > self._most and self._views:
            mine = self._of_the_largest_principal()
            for view in mine:
                if self.total > self._most:
                    view.fall_behind()
            for view in mine:
                if self.total > self._most:
                    view.drop(self._most)

    def _of_the_largest_principal(self) -> list[ViewImages]:
        views: dict[str, list[ViewImages]] = {}
        for view in self._views:
            views.setdefault(view.subject, []).append(view)

        def size(subject: str) -> int:
            sizes = {key: size for view in views[subject] for key, (_, size) in view.images.items()}
            return sum(sizes.values())

        return sorted(views[max(views, key=size)], key=lambda v: -v.size)

    def forget(self, view: ViewImages) -> None:
        """A view has ended."""
        self._views.discard(view)


class ViewImages:
    """The live changes that one view keeps, to be told or being written."""

    __slots__ = ("_account", "_all", "_fall_behind", "images", "size")

    def __init__(self, of: Images, account: Account, fall_behind: Callable[[], None]) -> None:
        self._all = of
        self._account = account
        self._fall_behind = fall_behind
        self.images: dict[int, tuple[Image, int]] = {}
        """The images and their sizes, by `id`."""
        self.size = 0

    @property
    def subject(self) -> str:
        """Whose view it is."""
        return self._account.subject

    def keep(self, image: Image) -> None:
        """Keep an image. The view may fall behind by it."""
        if id(image) in self.images:
            return
        size = weight(image)
        self.images[id(image)] = image, size
        self.size += size
        self._all.add(image, size)
        if self.size > VIEW_BYTES or len(self.images) > VIEW_ENTRIES:
            self.fall_behind()
        self._all.shrink()

    def keeps(self, image: Image) -> bool:
        """Whether an image is kept here: those of pages are not, room is reserved for them."""
        return id(image) in self.images

    def let_go(self, image: Image | None) -> None:
        """Keep an image no more, if it was kept here."""
        kept = self.images.pop(id(image), None)
        if kept is not None:
            image, size = kept
            self.size -= size
            self._all.remove(image, size)

    def fall_behind(self) -> None:
        """Have the view forget what is not being written."""
        self._fall_behind()

    def drop(self, most: int) -> None:
        """End the view's stream."""
        self.close()
        text = "too many changes wait for clients that do not read, and you have the most; read them faster"
        self._account.drop(LimitExceeded(text, limit="view_bytes_in_all", value=most, retry_after=1.0))

    def close(self) -> None:
        """The view has ended."""
        self._all.forget(self)
        for image, _ in tuple(self.images.values()):
            self.let_go(image)
        self._fall_behind = _nothing


def _nothing() -> None:
    """For a view that has ended."""
