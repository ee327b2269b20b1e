"""The core's C files as C++ on Relacy's atomics: the copies that tests/models/weak/*.cpp include.

In the copies every atomic operation is a numbered site whose memory order is looked up when it is carried
out, so that one compiled check can be run with any order weakened.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools import changed

SOURCES = Path(__file__).resolve().parents[2] / "src_c"
CHECKS = Path(__file__).resolve().parent / "weak"

Change = tuple[str, str, str]
"""(file of src_c/, text, what stands there instead)."""

ADAPTED: list[Change] = [
    ("atomics.h", "typedef _Atomic uint64_t pp_a64;", "typedef rl::atomic<uint64_t> pp_a64;"),
    ("atomics.h", "typedef _Atomic uint32_t pp_a32;", "typedef rl::atomic<uint32_t> pp_a32;"),
    ("layout.h", "    pp_head head;\n    union {", "    handed<pp_head> head;\n    union content {"),
    ("layout.h", "    } body;", "    };\n    handed<content> body;"),
    ("lease.c", "!(lease->element.head.kind", "!(lease->element.head.get().kind"),
    ("lease.c", "|| lease->element.head.kind", "|| lease->element.head.get().kind"),
    # As many as a check uses: C++ does not destroy an array without a length.
    ("ring.h", "    pp_a32 open[];", "    pp_a32 open[4];"),
    # Heads and bodies are wrapped: where a part lies in a body is checked by src_c/tests.
    (
        "parts.h",
        """\
    uint32_t nbytes;
    const unsigned char *payload = pp_part_at(&from->head, from->body.bytes, part, cursor, &nbytes);
    if (payload == NULL) return false;
    to->head.nbytes = (uint16_t)nbytes;
    to->head.index0 += part;
    pp_copy_payload(to->body.bytes, payload, nbytes);
""",
        """\
    pp_head head = from->head.get();
    head.index0 += part;
    to->head.set(head);
    to->body = from->body;
""",
    ),
    (
        "parts.h",
        """\
    slot->head = *head;
    pp_copy_payload(slot->body.bytes, payload, nbytes);
""",
        """\
    slot->head.set(*head);
    slot->body.set(pp_slot::content());
""",
    ),
    (
        "parts.h",
        """\
    pp_copy_payload(pp_tip_add(tip, slot->body.bytes, nbytes), payload, nbytes);
""",
        """\
    slot->body.set(slot->body.get()); /* whoever reads meanwhile would race with this */
    tip->index0++;
""",
    ),
    # What a sole consumer keeps in its port is its own memory; ports here are copied, atomic words are not.
    ("ring.h", "    pp_slot batch;\n", ""),
    (
        "ring.c",
        """\
        if (rc != PP_OK || !port->sole || is_last(port->word)) return rc;
        /* The rest goes with it: there is nobody else to take it. */
        port->batch.head = slot->head;
        port->batch.body = slot->body;
        port->batch_next = port->part;
        port->batch_count = count_of(port->word);
        free_slot(port, slot);
    }
    port->part = port->batch_next;
    *out = &port->batch;
    return PP_OK;
""",
        """\
        return rc;
    }
    return PP_OK;
""",
    ),
    ("ring.c", "    if (slot == &port->batch) {\n        port->batch_next++;\n    } else if", "    if"),
    # Schedules, not time: one look before the wait shows as much as 64.
    ("ring_wait.c", "#define SPINS 64", "#define SPINS 1"),
    # Two classes and four words to a chunk: Relacy keeps the history of every word.
    ("arena.h", "#define PP_CHUNK_BYTES ((uint64_t)1 << 20)", "#define PP_CHUNK_BYTES ((uint64_t)1 << 10)"),
    ("arena.h", "#define PP_CLASSES 12", "#define PP_CLASSES 2"),
    ("holding.h", "#define PP_HOLDERS 32", "#define PP_HOLDERS 3"),
    ("arena.c", "#define PART_ALIGN UINT64_C(65536)", "#define PART_ALIGN UINT64_C(64)"),
]

LOAD = {"seq_cst": ["acquire", "relaxed"], "acquire": ["relaxed"]}
STORE = {"seq_cst": ["release", "relaxed"], "release": ["relaxed"]}
UPDATE = {
    "seq_cst": ["acq_rel", "acquire", "release", "relaxed"],
    "acq_rel": ["acquire", "release", "relaxed"],
}
FAILED = {"acquire": ["relaxed"]}

OPERATIONS: dict[str, tuple[str, dict[str, list[str]]]] = {
    "pp_load_seq": ("seq_cst", LOAD),
    "pp_load_acq": ("acquire", LOAD),
    "pp_store_seq": ("seq_cst", STORE),
    "pp_store_rel": ("release", STORE),
    "pp_add_seq": ("seq_cst", UPDATE),
    "pp_add_acqrel": ("acq_rel", UPDATE),
    "pp_cas64_seq": ("seq_cst", UPDATE),
    "pp_cas64": ("acq_rel", UPDATE),
    "pp_cas32": ("acq_rel", UPDATE),
    "atomic_load_explicit": ("seq_cst", LOAD),
    "atomic_store_explicit": ("seq_cst", STORE),
    "atomic_exchange_explicit": ("seq_cst", UPDATE),
    "atomic_fetch_or_explicit": ("seq_cst", UPDATE),
    "atomic_fetch_add_explicit": ("seq_cst", UPDATE),
    "atomic_fetch_sub_explicit": ("release", STORE),
}
"""What the core calls, the order it has, and the orders that are weaker, the strongest first."""

_CALL = re.compile(r"\b(" + "|".join(OPERATIONS) + r")\(")
_FUNCTION = re.compile(r"^\w[^;{]*?(\w+)\([^;{]*\) \{", re.MULTILINE)


@dataclass(frozen=True)
class Site:
    number: int
    file: str
    function: str
    call: str
    """The operation with its arguments, as it stands in the source."""
    order: str
    weaker: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file}: {self.function}: {self.call}"


def without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/", lambda match: re.sub(r"[^\n]", " ", match[0]), text, flags=re.DOTALL)


def arguments_end(text: str, start: int) -> int:
    """Behind the parenthesis that closes the one at `start`."""
    depth = 0
    for at in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return at + 1
    raise ValueError("an open parenthesis")


def with_sites(file: str, text: str, sites: list[Site]) -> str:
    """`text` with the number of its site in each atomic operation; the sites are added to `sites`."""
    text = without_comments(text)
    pieces, done = [], 0
    for match in _CALL.finditer(text):
        if text.rfind("#define", 0, match.start()) > text.rfind("\n", 0, match.start()):
            continue
        functions = list(_FUNCTION.finditer(text, 0, match.start() + 1))
        function = functions[-1][1] if functions else "?"
        call = " ".join(text[match.start() : arguments_end(text, match.end() - 1)].split())
        order, weaker = OPERATIONS[match[1]]
        first = len(sites)
        sites.append(Site(first, file, function, call, order, tuple(weaker[order])))
        if "cas" in match[1]:
            sites.append(Site(first + 1, file, function, f"{call} failed", "acquire", ("relaxed",)))
        pieces += [text[done : match.start()], f"{match[1]}_at({first}, "]
        done = match.end()
    return "".join([*pieces, text[done:]])


def copy_sources(folder: Path, changes: list[Change]) -> list[Site]:
    """Copy src_c/ into `folder` with `changes` and what Relacy needs; the sites."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {path.name: path.read_text() for path in SOURCES.glob("*.[ch]")}
    # Nothing in the builds that are meant here, and in the way of changes to the steps around them.
    texts = {name: re.sub(r"\n *PP_FAULT_POINT\([^)]*\);", "", text) for name, text in texts.items()}
    for name, old, new in [*changes, *ADAPTED]:
        texts[name] = changed(texts[name], old, new, name)
    sites: list[Site] = []
    for name in sorted(texts):
        text = texts[name] if name == "atomics.h" else with_sites(name, texts[name], sites)
        (folder / name).write_text("#define _Static_assert(...)\n" + text if name == "atomics.h" else text)
    orders = ", ".join(f"rl::mo_{site.order}" for site in sites)
    (folder / "orders.h").write_text(f"static rl::memory_order orders[] = {{{orders}}};\n")
    return sites


def compile_check(name: str, folder: Path, level: str = "-O1") -> Path:
    """Build weak/`name`.cpp on the sources in `folder`, with this level of the optimizer; the program."""
    program = folder / name
    command = ["g++", "-std=gnu++17", level, "-w", "-fpermissive", "-I", str(CHECKS), "-I", str(folder)]
    subprocess.run([*command, "-o", str(program), str(CHECKS / f"{name}.cpp")], check=True)
    return program
