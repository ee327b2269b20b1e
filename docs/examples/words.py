"""Count the words in a tree of files: threads read, processes count, your own loop adds up.

    python docs/examples/words.py [FOLDER] [--pattern '*.py'] [--limit 500] [--top 10] [--workers 2]

Without a folder it takes the source files of the Python installation.

What to look at: reading waits for the disk, so threads do it; splitting needs the CPU, so processes do it;
each process sends one small Counter per file instead of every word, because what crosses between processes
costs most.
"""

from __future__ import annotations

import argparse
import os
import re
import sysconfig
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pypeln import pr, th

WORD = re.compile(r"[^\W\d_]{2,}")


class Statistics(NamedTuple):
    """What is known of one file."""

    path: Path
    lines: int
    words: Counter[str]


def files(folder: Path, pattern: str) -> Iterator[Path]:
    """Every file of the tree whose name matches, in an order that stays the same."""
    return (path for path in sorted(folder.rglob(pattern)) if path.is_file())


def read(path: Path) -> tuple[Path, str]:
    """Load a file; bytes that are not UTF-8 become replacement characters."""
    return path, path.read_text(encoding="utf-8", errors="replace")


def count(file: tuple[Path, str]) -> Statistics:
    """Count lines and words of a text, upper case folded into lower."""
    path, text = file
    return Statistics(path, text.count("\n"), Counter(WORD.findall(text.lower())))


def main() -> None:
    parser = argparse.ArgumentParser(description="Count the words in a tree of files.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path(sysconfig.get_path("stdlib")))
    parser.add_argument("--pattern", default="*.py", help="names of files (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=500, help="at most so many files (default: %(default)s)")
    parser.add_argument("--top", type=int, default=10, help="words to show (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that count")
    options = parser.parse_args()
    if not options.folder.is_dir():
        parser.error(f"{options.folder} is not a folder")

    paths = islice(files(options.folder, options.pattern), options.limit)
    texts = th.map(read, paths, workers=4, maxsize=16)
    statistics = pr.map(count, texts, workers=options.workers, maxsize=16)

    total: Counter[str] = Counter()
    file_count, lines = 0, 0
    longest = ("none", 0)
    for path, path_lines, words in statistics:
        total.update(words)
        file_count += 1
        lines += path_lines
        longest = max(longest, (path.name, path_lines), key=lambda file: file[1])

    print(f"{file_count} files, {lines} lines, {total.total()} words, {len(total)} different ones")
    print(f"longest file: {longest[0]} with {longest[1]} lines")
    # Words that are equally frequent are sorted, so that the same tree always prints the same table.
    ranked = sorted(total.items(), key=lambda item: (-item[1], item[0]))
    for word, times in ranked[: options.top]:
        print(f"{times:8} {word}")


if __name__ == "__main__":
    main()
