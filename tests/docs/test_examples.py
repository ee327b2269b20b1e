"""The programs in docs/examples do what their descriptions say, run as a user runs them."""

from __future__ import annotations

import multiprocessing
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.markdown import ENVIRONMENT, ROOT

EXAMPLES = ROOT / "docs" / "examples"
PROGRAMS = ("downloader.py", "lookalikes.py", "thumbnails.py", "training.py", "words.py")

# How the output begins of the programs that take a folder, and make or find one without it.
FIRST_LINES = {
    "lookalikes.py": "bright00.jpg = image00.png = small00.jpg",
    "thumbnails.py": "image00.png -> ",
    "training.py": "classes: dusk, forest, sea",
    "words.py": "500 files, ",
}

# A watchdog for a program that hangs, far above the seconds that an example takes.
PROGRAM_TIMEOUT_S = 90


def run_example(program: str | Path, *arguments: object, temporary: Path) -> subprocess.CompletedProcess[str]:
    """Run an example; what it makes without being told where goes into `temporary`."""
    return subprocess.run(
        [sys.executable, "-W", "default", str(EXAMPLES / program), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PROGRAM_TIMEOUT_S,
        env={**ENVIRONMENT, "TMPDIR": str(temporary)},
    )


def folder_of_two_colours(tmp_path: Path, pictures: int) -> Path:
    for name in ("blue", "red"):
        (tmp_path / "classes" / name).mkdir(parents=True)
    for number in range(pictures):
        name, colour = ("red", (255, 0, 0)) if number % 2 else ("blue", (0, 0, 255))
        size = (20 + number, 30)
        Image.new("RGB", size, colour).save(tmp_path / "classes" / name / f"{number}.jpg")
    return tmp_path / "classes"


@pytest.mark.parametrize("program", PROGRAMS)
def test_example_explains_itself(program: str, tmp_path: Path) -> None:
    done = run_example(program, "--help", temporary=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"usage: {program}" in done.stdout


def test_index_of_the_examples_names_each_program_with_a_command_that_runs_it() -> None:
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^python docs/examples/(\w+\.py)$", index, flags=re.MULTILINE)
    assert sorted(commands) == sorted(PROGRAMS)
    linked = set(re.findall(r"\]\((\w+\.py)\)", index))
    assert linked == {path.name for path in EXAMPLES.glob("*.py")}


def test_thumbnails_of_images_that_the_program_draws(tmp_path: Path) -> None:
    done = run_example("thumbnails.py", "--size", 64, temporary=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == [f"image{number:02}.png" for number in range(12)]
    assert lines[-1].startswith("12 of 12 images")
    thumbnails = sorted(tmp_path.rglob("*.jpg"))
    assert len(thumbnails) == 12
    for thumbnail in thumbnails:
        with Image.open(thumbnail) as image:
            assert max(image.size) == 64


def test_thumbnail_keeps_shape_and_colours_and_a_damaged_file_is_skipped(tmp_path: Path) -> None:
    folder, out = tmp_path / "images", tmp_path / "small"
    folder.mkdir()
    halves = np.zeros((300, 600, 3), dtype=np.uint8)
    halves[:, :300] = (200, 0, 0)
    halves[:, 300:] = (0, 0, 200)
    Image.fromarray(halves).save(folder / "halves.png")
    (folder / "damaged.png").write_bytes(b"no image at all")
    (folder / "notes.txt").write_text("not looked at")

    done = run_example("thumbnails.py", folder, "--out", out, "--size", 50, temporary=tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "halves.png -> halves.png.jpg 50x25",
        f"1 of 2 images, thumbnails in {out}",
    ]
    assert done.stderr.startswith("skipped damaged.png: ")
    with Image.open(out / "halves.png.jpg") as image:
        pixels = np.asarray(image)
    np.testing.assert_allclose(pixels[12, 5], (200, 0, 0), atol=12)
    np.testing.assert_allclose(pixels[12, 45], (0, 0, 200), atol=12)


def test_training_refuses_a_folder_without_classes(tmp_path: Path) -> None:
    done = run_example("training.py", tmp_path, temporary=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(f"{tmp_path} has no folders with JPEG files")


def test_training_learns_from_pictures_that_the_program_draws(tmp_path: Path) -> None:
    done = run_example("training.py", "--size", 32, temporary=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    classes, *steps, summary = done.stdout.splitlines()
    assert classes == "classes: dusk, forest, sea"
    reports = [re.fullmatch(r"step +(\d+): loss ([\d.]+), +(\d+)% right", line) for line in steps]
    numbers = [(int(report[1]), float(report[2]), int(report[3])) for report in reports if report]
    # 240 pictures four times make 30 batches of 32.
    assert [step for step, _, _ in numbers] == [10, 20, 30]
    assert numbers[-1][1] < numbers[0][1] < np.log(3)
    assert numbers[-1][2] > 60
    assert summary.startswith("960 images, ")


def test_training_gives_the_same_batches_whatever_the_number_of_workers(tmp_path: Path) -> None:
    folder = folder_of_two_colours(tmp_path, pictures=30)
    learned = []
    for workers in (1, 3):
        options = ("--batch", 2, "--size", 8, "--epochs", 2, "--workers", workers)
        done = run_example("training.py", folder, *options, temporary=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        learned.append(done.stdout.splitlines()[:-1])
    assert len(learned[0]) == 4  # the classes, and a report after each ten batches
    assert learned[0] == learned[1]


def test_training_leaves_out_a_last_batch_that_is_not_full(tmp_path: Path) -> None:
    folder = folder_of_two_colours(tmp_path, pictures=11)
    done = run_example("training.py", folder, "--batch", 4, "--size", 8, "--epochs", 1, temporary=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("8 images, ")


def test_lookalikes_finds_the_copies_that_the_program_makes(tmp_path: Path) -> None:
    done = run_example("lookalikes.py", temporary=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "bright00.jpg = image00.png = small00.jpg",
        "bright04.jpg = image04.png = small04.jpg",
        "bright08.jpg = image08.png = small08.jpg",
        "18 files, 18 pictures, 0 skipped",
    ]


def test_lookalikes_names_a_damaged_file_and_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    ramp = np.tile(np.arange(255, 0, -1, dtype=np.uint8), (200, 1))
    Image.fromarray(ramp).save(folder / "a.png")
    Image.fromarray(ramp).resize((100, 90)).save(folder / "b.jpg")
    Image.fromarray(ramp[:, ::-1].copy()).save(folder / "mirrored.png")
    (folder / "damaged.png").write_bytes(b"no picture at all")

    done = run_example("lookalikes.py", folder, "--workers", 2, temporary=tmp_path)

    assert done.returncode == 0
    assert done.stdout.splitlines() == ["a.png = b.jpg", "4 files, 3 pictures, 1 skipped"]
    assert done.stderr == "skipped damaged.png: UnidentifiedImageError\n"


def test_downloader_stores_every_page_and_keeps_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "pages.db"
    done = run_example("downloader.py", "--database", path, "--per-host", 3, temporary=tmp_path)

    assert done.returncode == 0, done.stderr
    summary, politeness = done.stdout.splitlines()
    # Three hosts of thirty pages: each misses one page, and is busy at first for three.
    assert summary == f"87 of 90 pages from 3 hosts, 9 retries, stored in {path}"
    assert politeness in {f"no host had more than {most} requests at once" for most in (2, 3)}
    assert len(re.findall(r"^failed: http://\S+/page/13 with status 404$", done.stderr, re.MULTILINE)) == 3
    with sqlite3.connect(path) as database:
        rows = database.execute("select url, status, tries, body from pages").fetchall()
    database.close()
    assert len(rows) == 90
    for url, status, tries, body in rows:
        number = int(url.rpartition("/")[2])
        assert status == (404 if number == 13 else 200)
        assert tries == (2 if number % 10 == 0 else 1)
        assert body == ("no such page" if number == 13 else f"This is page {number}.")


def test_downloader_reports_a_host_that_cannot_be_reached(tmp_path: Path) -> None:
    urls = tmp_path / "urls.txt"
    urls.write_text("http://127.0.0.1:1/nothing-listens-here\n\n")
    done = run_example(
        "downloader.py",
        "--urls",
        urls,
        "--database",
        tmp_path / "pages.db",
        "--retries",
        1,
        temporary=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("0 of 1 pages from 1 hosts, 1 retries")
    assert "failed: http://127.0.0.1:1/nothing-listens-here with status 0" in done.stderr


def test_words_counts_a_small_tree_exactly(tmp_path: Path) -> None:
    deep = tmp_path / "tree" / "deep"
    deep.mkdir(parents=True)
    (deep.parent / "one.txt").write_text("the cat and the dog\nTHE END\n")
    (deep / "two.txt").write_text("cat x cat1cat\n" * 10)
    (deep / "two.md").write_text("not counted")

    done = run_example("words.py", deep.parent, "--pattern", "*.txt", "--top", 3, temporary=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "2 files, 12 lines, 37 words, 5 different ones",
        "longest file: two.txt with 10 lines",
        "      31 cat",
        "       3 the",
        "       1 and",
    ]


def test_words_takes_the_sources_of_python_without_a_folder(tmp_path: Path) -> None:
    done = run_example("words.py", "--limit", 60, temporary=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("60 files, ")
    assert re.search(r"^ +\d+ self$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("start_method", multiprocessing.get_all_start_methods())
@pytest.mark.parametrize("program", FIRST_LINES)
def test_example_runs_under_every_start_method(program: str, start_method: str, tmp_path: Path) -> None:
    guard = 'if __name__ == "__main__":\n'
    source = (EXAMPLES / program).read_text(encoding="utf-8")
    assert source.count(guard) == 1
    setup = f"    import multiprocessing; multiprocessing.set_start_method({start_method!r})\n"
    copy = tmp_path / program
    copy.write_text(source.replace(guard, guard + setup), encoding="utf-8")
    done = run_example(copy, temporary=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(FIRST_LINES[program])


@pytest.mark.parametrize("program", FIRST_LINES)
def test_a_folder_that_does_not_exist_is_an_error_of_one_line(program: str, tmp_path: Path) -> None:
    done = run_example(program, tmp_path / "nowhere", temporary=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"{program}: error: {tmp_path / 'nowhere'} is not a folder"
