"""Answers to repair: what is held below a digest's prefix, the pages of a pass, of the table.

The answerer keeps no state. A page says `(start, after, upto]` and the version at that moment, and
one position is never split, so pages may be lost, doubled or asked for singly.
"""

from __future__ import annotations

from collections.abc import Iterator

from .codec import LEAF_SIZE_MAX, PAGE_OVERHEAD, Packed, pack_register, pack_view
from .identity import NAME_BYTES_MAX
from .messages import (
    Digest,
    DigestAsk,
    MembersAsk,
    MembersPage,
    MemberView,
    Page,
    Pages,
    PassAsk,
    PassItem,
    Register,
)
from .state import State, Turn

_NAME_ROOM = 2 * (NAME_BYTES_MAX + 2)
"""Bytes that the two names which bound a page of the table may take."""


def answer_digest(state: State, ask: DigestAsk) -> Digest:
    """All leaves below the prefix if they fit the size asked for, else the 64 sums below it."""
    empty = Digest(ask.nonce, ask.depth, ask.prefix, (), None)
    room = state.courier.room(empty, min(ask.size, state.settings.datagram_size))
    if state.log.count_below(ask.depth, ask.prefix) * LEAF_SIZE_MAX <= room:
        below = state.log.leaves_below(ask.depth, ask.prefix)
        leaves = tuple(state.log.leaf(stream) for stream in below)
        return Digest(ask.nonce, ask.depth, ask.prefix, leaves, None)
    return Digest(
        ask.nonce, ask.depth, ask.prefix, None, state.log.sums_below(ask.depth, ask.prefix)
    )


def answer_passes(state: State, ask: PassAsk) -> Iterator[Pages]:
    """Up to `ask.pages` datagrams with the pages asked for, in the order of the wishes."""
    size = min(ask.size, state.settings.datagram_size)
    room = state.courier.room(Pages(ask.nonce, (), False), size)
    filling: list[Page] = []
    free = room
    sent = 0
    wishes = list(ask.items)
    while wishes and sent < ask.pages:
        wish = wishes.pop(0)
        page, used = _page(state, wish, free)
        if page is not None:
            filling.append(page)
            free -= used
        if page is None or page.upto:
            wishes.insert(0, wish if page is None else wish._replace(after=page.upto))
            sent += 1
            yield Pages(ask.nonce, tuple(filling), sent == ask.pages)
            filling, free = [], room
    if filling:
        yield Pages(ask.nonce, tuple(filling), True)


def _page(state: State, wish: PassItem, free: int) -> tuple[Page | None, int]:
    """As much of a pass as fits and the bytes that takes; None when not one register does."""
    version = state.log.version(wish.stream)
    registers: list[Register] = []
    used = PAGE_OVERHEAD + _text_size(wish.after)
    upto = ""
    for register in state.log.by_name(wish.stream, wish.start, wish.after):
        size = len(pack_register(register))
        if used + size + _text_size(register[0]) > free:
            if not registers:
                return None, 0
            upto = registers[-1][0]
            break
        registers.append(register)
        used += size
    used += _text_size(upto)
    if used > free:
        return None, 0
    page = Page(wish.stream, wish.start, wish.after, upto, version, tuple(registers))
    return page, used


def _text_size(text: str) -> int:
    """Bytes that a text takes at most in a datagram."""
    return 2 + len(text.encode())


def answer_members(state: State, ask: MembersAsk, turn: Turn) -> Iterator[MembersPage]:
    """Up to `ask.pages` datagrams with the table's shared entries in the order of names.

    Accusers travel with gossip only. An entry that is larger than a page of the size asked for is
    passed over: a larger page or gossip has to bring it.
    """
    size = min(ask.size, state.settings.datagram_size)
    names = iter(state.members.names_after(ask.after))
    after = ask.after
    empty = MembersPage(ask.nonce, "", "", ())
    pending: tuple[MemberView, Packed] | None = None
    for _ in range(ask.pages):
        room = state.courier.room(empty, size) - _NAME_ROOM
        views: list[MemberView] = []
        while True:
            pending = pending or _next_shared(state, names, turn)
            if pending is None or len(pending[1]) > room:
                break
            views.append(pending[0])
            room -= len(pending[1])
            pending = None
        if pending is None:
            yield MembersPage(ask.nonce, after, "", tuple(views))
            return
        upto = (views[-1] if views else pending[0]).name
        if not views:
            pending = None
        yield MembersPage(ask.nonce, after, upto, tuple(views))
        after = upto


def _next_shared(
    state: State, names: Iterator[str], turn: Turn
) -> tuple[MemberView, Packed] | None:
    for name in names:
        view = state.members.shared(name, turn.now)
        if view is not None:
            view = view._replace(accusers=())
            return view, pack_view(view)
    return None
