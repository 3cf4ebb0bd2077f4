"""``ingot cache``: what the disk cache holds, and clearing it."""

from __future__ import annotations

from ingot_devices import cache

from .cli import DONE
from .console import console, plain, size, table


def show_cache(clear: bool) -> int:
    """Print the folder and the size of each namespace, or remove everything."""
    screen = console()
    if clear:
        gone = cache.clear()
        screen.print(plain(f"removed {gone.files} files ({size(gone.bytes)}) from {cache.root()}"))
        return DONE
    found = cache.usage()
    screen.print(plain(f"{cache.root()}{'' if found else ' is empty'}"))
    if found:
        made = table("namespace", "files", "size")
        for one in found:
            made.add_row(plain(one.namespace), plain(one.files), plain(size(one.bytes)))
        screen.print(made)
    return DONE
