"""No result is typed into prose: a decimal number or a per cent in it is computed, or a constant.

Looked at are the text of chapters and of the book, the words in their code cells, and the prose of
the reports' YAML. A number that is no result stands in `CONSTANTS`, with the words around it.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

HOME = Path(__file__).parent.parent
TEXTS = sorted([*HOME.glob("notebooks/*.md"), *HOME.glob("book/*.md")])
REPORTS = sorted(HOME.glob("data/reports/*.yaml"))

PER_CENT = r"\s*(?:%|per\s+cent)"
NUMBER = re.compile(rf"(?<![\w.])(?:\d*\.\d+(?![\d.]*\.\d)|\d+(?={PER_CENT}))(?:{PER_CENT})?")

#: What is chosen, not measured: the threshold that every network starts with, the level of every
#: interval, the width of a bin, the default that an exercise changes, versions.
CONSTANTS = (
    r"(?:threshold|at|At|and|of|from) 0\.5\b(?! %)",
    r"95 % interval|intervals? of 95 %|95 % of (?:the taus|random pairs)",
    r"within 0\.01\b",
    r"instead of 0\.25\b",
    r"Python \d\.\d+",
    r"(?:alpha|gamma|lr|width|dropout) \d*\.?\d+",  # of an argument
)

#: What no reader takes for a result: front matter, addresses, identifiers, citations, code.
APART = (
    r"\A---\n.*?\n---\n",
    r"https?://\S+",
    r"(?:doi|arXiv):\s?\S+",
    r"\{[\w:]+\}`[^`]*`",
    r"\braunet/[\w.-]+/[\w.-]+",
    r"\$\$.+?\$\$",
    r"\$[^$\n]+\$",
    r"(?<!`)(`{1,2})(?!`)(?:(?!\n\n).)+?(?<!`)\1(?!`)",
)
FENCE = re.compile(r"^(`{3,})([^\n]*)\n(.*?)^\1[ \t]*$", re.MULTILINE | re.DOTALL)


def blank(pattern: str, text: str) -> str:
    """Put spaces in place of what matches; lines stay where they are."""
    loose = pattern.replace(" ", r"\s+")  # words may stand on two lines
    return re.sub(loose, lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.DOTALL)


def numbers(text: str) -> Iterator[tuple[int, str]]:
    """Yield line, from 1, and number of what is no constant."""
    for pattern in (*APART, *CONSTANTS):
        text = blank(pattern, text)
    for found in NUMBER.finditer(text):
        yield text.count("\n", 0, found.start()) + 1, found[0]


def words(code: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of the string constants of a cell; a format such as .3f is none."""
    for node in ast.walk(ast.parse(code)):
        said = node.value if isinstance(node, ast.Constant) else None
        if isinstance(said, str) and not re.fullmatch(r"[+,\d.]*[defg%]?", said):
            yield node.lineno, re.sub(r"\{[^{}]*\}", "", said)  # of str.format


def smuggled(text: str) -> list[tuple[int, str]]:
    """Return line and number of each number in a MyST text that nothing computed."""
    found = []
    prose = text
    for fence in FENCE.finditer(text):
        info = fence[2].strip()
        if info.startswith("{") and not info.startswith("{code"):
            continue  # a note, a glossary: prose
        prose = prose[: fence.start()] + re.sub(r"[^\n]", " ", fence[0]) + prose[fence.end() :]
        if info.startswith("{code-cell}"):
            if "%pip install" in fence[3]:
                continue
            start = text.count("\n", 0, fence.start(3))
            code = re.sub(r"^:\w+:.*$", "", fence[3], flags=re.MULTILINE)
            for line, said in words(code):
                for _, number in numbers(said):
                    # A string of several pieces begins before the piece with the number.
                    rest = code.split("\n")[line - 1 :]
                    ahead = next((i for i, row in enumerate(rest) if number in row), 0)
                    found.append((start + line + ahead, number))
    return sorted([*found, *numbers(prose)], key=lambda one: one[0])


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_a_text_of_the_book_holds_no_number_that_nothing_computed(path):
    name = path.relative_to(HOME)
    found = [f"{name}:{line}: {number}" for line, number in smuggled(path.read_text())]
    assert not found, "compute it, or name it in CONSTANTS if it is no result"


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.name)
def test_the_prose_of_a_report_leaves_its_numbers_to_its_tables(path):
    report = yaml.safe_load(path.read_text())
    for field in ("asked", "method", "found"):
        said = report.get(field, [])
        for text in [said] if isinstance(said, str) else said:
            assert not list(numbers(text)), f"{path.name}, {field}: {text}"


CELL = "```{{code-cell}} ipython3\n:tags: [remove-input]\n\n{}\n```\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The best F1 is 0.87.", [(1, "0.87")]),
        ("It reaches\n.87 on them, and 72 % at 0.5.", [(2, ".87"), (2, "72 %")]),
        ("A recall of 72% or 7 per cent.", [(1, "72%"), (1, "7 per cent")]),
        ("| focal | 0.6828 |\n|---|---|\n| ce | 67.83 |", [(1, "0.6828"), (3, "67.83")]),
        ("```{note}\nAbout 0.7.\n```", [(2, "0.7")]),
        ("A threshold of\n0.55, a recall of 95 %.", [(2, "0.55"), (2, "95 %")]),
        ("An interval from -0.19 to +0.05.", [(1, "0.19"), (1, "0.05")]),
        (CELL.format('Markdown(\n    f"Of {x:.3f} "\n    "0.81 is left."\n)'), [(6, "0.81")]),
        (CELL.format('words = f"{x} beats 0.9 by 3 %"'), [(4, "0.9"), (4, "3 %")]),
    ],
)
def test_a_smuggled_number_is_found_on_its_line(text, found):
    assert smuggled(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "At threshold 0.5, and at\n0.5 in the mean, with a 95 % interval from 3 seeds.",
        "Python 3.11 and `0.87` and ``alpha: 0.75``; {cite:t}`some2020.5`; v1.2; IPv4 10.0.0.1.",
        "https://doi.org/10.1007/s10346-020-01353-2 and arXiv:2004.10934.",
        "---\nversion: 1.3\n---\nText.",
        "```bash\nlandslide --rate 0.3\n```\n\n```{code-block} text\n0.1\n```",
        CELL.format('rate = 0.3\nf"{rate:.2f} and {rate:+.0%}" + shown(rate, ".2f", "{:.3f}")'),
    ],
)
def test_what_is_computed_or_no_result_is_left_alone(text):
    assert not smuggled(text)
