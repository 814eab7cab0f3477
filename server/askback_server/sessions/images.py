"""The images of changed jobs and prompts that views keep in memory until the client has read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from askback_server.domain.errors import LimitExceeded
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import Prompt
from askback_server.sessions.memory_budget import FRAME_BYTES, Account, body_size

Image: TypeAlias = Job | Prompt

MAX_VIEW_ENTRIES = 2_000
MAX_VIEW_BYTES = 2 * 1024 * 1024
"""Maximum number and bytes of changes kept by one view. Beyond that it falls behind."""


class Images:
    """The images kept by all views of a replica. An image kept by several views is counted once.

    When the total exceeds the limit, the views of the principal with the most fall behind: they discard their
    images and read them from the database later. If that does not free enough, because images are being
    written, streams of that principal are ended.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._views: set[ViewImages] = set()
        self._kept: dict[int, tuple[int, int]] = {}
        """The number of views that keep an image, and its size, by its `id`."""
        self.total = 0

    def of_view(self, account: Account, fall_behind: Callable[[], None]) -> ViewImages:
        """Create the account of one view; close it at the end.

        `fall_behind` must discard the images that are not being written. `account` is that of the stream.
        """
        view = ViewImages(self, account, fall_behind)
        self._views.add(view)
        return view

    def add(self, image: Image) -> int:
        """Count an image kept by a view. Returns its size, which is computed once for all views."""
        known = self._kept.get(id(image))
        if known is None:
            count, size = 0, body_size(image)
            self.total += size
        else:
            count, size = known
        self._kept[id(image)] = count + 1, size
        self.total += FRAME_BYTES
        return size

    def remove(self, image: Image) -> None:
        """Uncount an image that a view has released."""
        count, size = self._kept[id(image)]
        self.total -= FRAME_BYTES
        if count > 1:
            self._kept[id(image)] = count - 1, size
        else:
            del self._kept[id(image)]
            self.total -= size

    def shrink(self) -> None:
        """Free memory until the total is within the limit."""
        while self.total > self._maximum and self._views:
            mine = self._of_the_largest_principal()
            for view in mine:
                if self.total > self._maximum:
                    view.fall_behind()
            for view in mine:
                if self.total > self._maximum:
                    view.drop(self._maximum)

    def _of_the_largest_principal(self) -> list[ViewImages]:
        views: dict[str, list[ViewImages]] = {}
        for view in self._views:
            views.setdefault(view.subject, []).append(view)

        def size(subject: str) -> int:
            sizes = {key: size for view in views[subject] for key, (_, size) in view.images.items()}
            return sum(sizes.values())

        return sorted(views[max(views, key=size)], key=lambda v: -v.size)

    def forget(self, view: ViewImages) -> None:
        """Forget a view that has ended."""
        self._views.discard(view)


class ViewImages:
    """The images kept by one view: waiting to be sent, or being written."""

    __slots__ = ("_account", "_all", "_fall_behind", "images", "size")

    def __init__(self, of: Images, account: Account, fall_behind: Callable[[], None]) -> None:
        self._all = of
        self._account = account
        self._fall_behind = fall_behind
        self.images: dict[int, tuple[Image, int]] = {}
        """Images and their sizes, by `id`."""
        self.size = 0

    @property
    def subject(self) -> str:
        """The principal's subject."""
        return self._account.subject

    def keep(self, image: Image) -> None:
        """Keep an image. This may make the view fall behind."""
        if id(image) in self.images:
            return
        size = self._all.add(image)
        self.images[id(image)] = image, size
        self.size += size
        if self.size > MAX_VIEW_BYTES or len(self.images) > MAX_VIEW_ENTRIES:
            self.fall_behind()
        self._all.shrink()

    def keeps(self, image: Image) -> bool:
        """Whether an image is kept here. Images of pages are not: memory is reserved for whole pages."""
        return id(image) in self.images

    def release(self, image: Image | None) -> None:
        """Release an image, if it is kept here."""
        kept = self.images.pop(id(image), None)
        if kept is not None:
            image, size = kept
            self.size -= size
            self._all.remove(image)

    def fall_behind(self) -> None:
        """Make the view discard the images that are not being written."""
        self._fall_behind()

    def drop(self, maximum: int) -> None:
        """End the stream of the view."""
        self.close()
        text = "too many changes wait for clients that do not read, and you have the most; read them faster"
        self._account.drop(LimitExceeded(text, limit="view_bytes_in_all", value=maximum, retry_after=1.0))

    def close(self) -> None:
        """Release everything; the view has ended."""
        self._all.forget(self)
        for image, _ in tuple(self.images.values()):
            self.release(image)
        self._fall_behind = _nothing


def _nothing() -> None:
    pass
