"""Changes that wait in views until they can be sent are bounded, for all views together and for each."""

from typing import Any

import pytest

from askback_server.domain.errors import AskbackError
from askback_server.sessions import images as images_module
from askback_server.sessions.images import Images, ViewImages
from askback_server.sessions.memory_budget import FRAME_BYTES, MemoryBudget


class Image:
    """An item with a size."""

    def __init__(self, size: int) -> None:
        self.size = size - FRAME_BYTES

    def ByteSize(self) -> int:
        return self.size


class View:
    """Keeps the images it is offered, and drops those that are not being written when it falls behind."""

    def __init__(self, images: Images, subject: str) -> None:
        self.behind = 0
        self.dropped = 0
        self.waiting: list[Image] = []
        self.kept: ViewImages = images.of_view(
            MemoryBudget(10**9, 10**9).account(subject, self._drop), self._fall
        )

    def _fall(self) -> None:
        self.behind += 1
        for image in self.waiting:
            self.kept.release(image)
        self.waiting.clear()

    def _drop(self, error: AskbackError) -> None:
        self.dropped += 1

    def offer(self, image: Image) -> None:
        self.waiting.append(image)
        self.kept.keep(image)


def test_a_shared_image_is_counted_once() -> None:
    images = Images(10_000)
    views = [View(images, f"u{n}") for n in range(10)]
    image = Image(5_000)
    for view in views:
        view.offer(image)
    assert images.total == 5_000 + 10 * FRAME_BYTES
    assert not any(view.behind for view in views)
    for view in views:
        view.kept.close()
    assert images.total == 0
    assert not images._kept
    assert not images._views


def test_the_views_of_the_principal_with_the_most_fall_behind() -> None:
    """This holds however large the view of another principal is, and however many views share images."""
    images = Images(20_000)
    ada = View(images, "ada")
    ada.offer(Image(4_000))
    shared = Image(4_000)
    consoles = [View(images, "gateway") for _ in range(5)]
    for view in consoles:
        view.offer(shared)
    eve = [View(images, "eve") for _ in range(4)]
    for n, view in enumerate(eve):
        view.offer(Image(1_500 + 100 * n))
    assert not any(view.behind for view in (ada, *consoles, *eve))
    ada.offer(Image(100))
    for view in eve:
        view.offer(Image(3_000))
    assert any(view.behind for view in eve)
    assert not any(view.behind or view.dropped for view in (ada, *consoles))
    assert images.total <= 20_000


def test_streams_end_when_too_much_is_being_written() -> None:
    images = Images(12_000)
    ada, eve = View(images, "ada"), [View(images, "eve") for _ in range(4)]
    ada.offer(Image(2_000))
    for view in eve:
        view.offer(Image(2_000))
        view.waiting.clear()  # it is being written
    assert not any(view.dropped for view in eve)
    ada.offer(Image(2_000))
    assert [view.dropped for view in eve].count(1) == 1
    assert images.total == 5 * (2_000 + FRAME_BYTES)
    assert not ada.dropped
    assert not ada.behind


@pytest.mark.parametrize("limit", ["MAX_VIEW_BYTES", "MAX_VIEW_ENTRIES"])
def test_a_view_over_its_own_limit_falls_behind_alone(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(images_module, limit, 50 if limit == "MAX_VIEW_ENTRIES" else 50_000)
    images: Any = Images(10**9)
    view = View(images, "eve")
    for _ in range(50):
        view.offer(Image(1_000))
    assert not view.behind
    view.offer(Image(1_000))
    assert view.behind == 1
    assert images.total == 0
