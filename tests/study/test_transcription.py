"""What must hold of the transcribed reports, whatever they say."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from landslide_lib.paths import REPORTS
from landslide_lib.study import reports

SHARED = Path(__file__).parent.parent.parent.parent / "shared" / "reports"
#: The text a report is transcribed from; README.md holds what is an image or garbled in it.
TEXTS = {
    "raunet": ["raunet-ablation.md"],
    "refinement": ["label-refinement.md", "README.md"],
    "detection": ["detection-pretraining.md", "README.md"],
    "fusion": ["attention-fusion.md"],
    "filter": ["negative-filter-fpn.md"],
}
TABLES = {
    "raunet": {
        "baseline",
        "losses",
        "losses-combined",
        "bands",
        "heads",
        "backbones",
        "improved-unet",
        "rau-net",
        "small-models",
        "optimizers",
        "post-processing",
        "k-fold",
        "k-fold-thresholds",
        "sentinel-only",
        "leaderboard",
    },
    "refinement": {"validation", "test"},
    "detection": {"backbones", "pretraining"},
    "fusion": {"cross-validation", "test", "confusion", "what-did-not-work"},
    "filter": {"result", "curves", "energy"},
}
ALL = reports.reports()
EACH_TABLE = pytest.mark.parametrize(
    "table", [table for report in ALL.values() for table in report.tables.values()], ids=lambda table: table.name
)
EACH_REPORT = pytest.mark.parametrize("report", ALL.values(), ids=ALL)


def printed(table, row):
    """The cells of a row as text, as printed, by column."""
    texts = {}
    for name, cell in row.reported.items():
        digits = table.columns[name].digits if name in table.metrics else 4
        if cell is not None:
            texts[name] = f"{cell:.{digits}f}" if isinstance(cell, float) else str(cell)
    return texts


def scores(name, row):
    """The scores of a row, by metric."""
    table = reports.table(name)
    return {metric: table.row(row).reported.get(metric) for metric in table.metrics}


def test_all_tables_of_the_five_reports_are_here():
    found = {
        name: {key for key, table in report.tables.items() if not all(r.ours for r in table.rows)}
        for name, report in ALL.items()
    }
    assert found == TABLES


@EACH_TABLE
def test_a_table_has_rows_with_names_that_a_command_line_takes(table):
    assert table.rows
    assert table.title
    assert table.where
    for row in table.rows:
        assert re.fullmatch(r"[a-z0-9]+([-.][a-z0-9]+)*", row.id), row.id
        assert row.label


@EACH_TABLE
def test_every_row_of_a_report_has_cells_unless_its_table_is_a_figure(table):
    empty = {row.id for row in table.rows if not row.reported and not row.ours}
    printed = [row for row in table.rows if not row.ours]
    assert not empty or (table.name == "filter/curves" and len(empty) == len(printed))


@EACH_TABLE
def test_a_column_that_is_listed_is_printed_somewhere(table):
    if table.name != "filter/curves" and not all(row.ours for row in table.rows):
        assert {name for row in table.rows for name in row.reported} == {*table.metrics, *table.extra}


@EACH_TABLE
def test_derived_rows_and_no_others_name_what_they_are_computed_from(table):
    for row in table.rows:
        assert bool(row.source) == (row.kind == "derived"), row.id
        assert row.id not in row.source


@EACH_TABLE
def test_a_score_lies_where_its_unit_puts_it(table):
    for row in table.rows:
        for name in table.metrics:
            cell = row.reported.get(name)
            if isinstance(cell, (int, float)):
                assert 0 <= cell <= table.columns[name].scale
                # A score in 0..1 under a unit of per cent would be next to nothing.
                assert table.columns[name].unit == "" or cell > 1


@EACH_REPORT
def test_prose_states_no_number_that_could_be_a_result(report):
    tables = report.tables.values()
    prose = [report.asked, report.data, *report.method, *report.found, *report.notes, *report.deviations]
    prose += [line for table in tables for line in (*table.notes, *table.deviations)]
    for text in prose:
        assert not re.search(r"\d[.,]\d|\d\s*%", text), text
    for text in (report.asked, *report.method, *report.found):
        # Names may carry a digit, such as Sentinel-2; a number of its own is none.
        assert not re.search(r"(?<![\w-])\d", text), text


@EACH_REPORT
def test_a_report_is_in_the_bibliography(report):
    text = (REPORTS.parent.parent / "book" / "references.bib").read_text()
    assert re.search(rf"@\w+{{{re.escape(report.cite)},", text)


@EACH_REPORT
def test_no_key_of_a_file_is_written_twice(report):
    # YAML lets the later of two equal keys win in silence, which would lose cells.
    def walk(node):
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), (keys, node.start_mark)
            for _, value in node.value:
                walk(value)
        elif isinstance(node, yaml.SequenceNode):
            for value in node.value:
                walk(value)

    walk(yaml.compose((REPORTS / f"{report.report}.yaml").read_text()))


def plain(text):
    """Text without the marks of its source: tags, LaTeX, commas in numbers, line breaks, case."""
    text = text.replace(r"\approx", "≈").replace("Ã—", "x").replace("Â±", "±").replace("×", "x")
    text = re.sub(r"</?\w+>|\\text\{(\w+)\}|[$\\*~]", r"\1", text)
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    return re.sub(r"\s+", " ", text).lower()


def squeezed(text):
    """Plain text without spaces, which a source sets freely inside a cell."""
    return plain(text).replace(" ", "")


@pytest.fixture(scope="module")
def sources():
    if not SHARED.is_dir():
        pytest.skip("the text of the reports is not part of the repository")
    return {name: plain("\n".join((SHARED / file).read_text() for file in files)) for name, files in TEXTS.items()}


def stands(number, text):
    """Whether text holds a number that is no piece of a longer one."""
    return re.search(rf"(?<![\d.]){re.escape(number)}(?!\d|\.\d)", text) is not None


def spellings(cell):
    """The ways in which a source may print a number: .877, 1e-4, 20k."""
    yield cell
    yield cell.removeprefix("0")
    value = float(cell)
    yield f"{value:g}"
    yield f"{value:.1f}"
    yield f"{value:.0e}".replace("e-0", "e-")
    if value % 1000 == 0:
        yield f"{value / 1000:g}k"
    yield {2: "two", 3: "three", 5: "five"}.get(value, cell)


@EACH_TABLE
def test_every_printed_cell_stands_in_the_source(table, sources):
    text = sources[table.name.split("/")[0]]
    for row in table.rows:
        for name, cell in printed(table, row).items():
            if re.fullmatch(r"[\d.]+", cell):
                known = any(stands(one, text) for one in (cell, cell.removeprefix("0")))
            else:
                known = squeezed(cell) in text.replace(" ", "")
            assert known, (row.id, name, cell)


@EACH_REPORT
def test_every_fact_stands_in_the_source(report, sources):
    text = sources[report.report]
    for name, fact in report.facts.items():
        assert any(stands(one, text) if one[-1].isdigit() else one in text for one in spellings(str(fact.value))), name


def test_cells_that_are_printed_side_by_side_stand_so_in_the_source(sources):
    """Of the tables whose lines are whole in the text, each row's cells in the printed order."""
    for name in ("losses", "bands", "backbones", "optimizers", "small-models", "k-fold"):
        table = reports.table(f"raunet/{name}")
        for row in table.rows:
            if row.ours:
                continue
            cells = printed(table, row)
            numbers = [cells[metric] for metric in table.metrics if metric in cells]
            if row.id != "small-rau-net-threshold":  # stands in the conclusion alone
                assert " ".join(numbers) in sources["raunet"], (name, row.id)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("raunet/baseline", "unet"), ("raunet/losses", "ce")),
        (("raunet/losses", "iou"), ("raunet/losses-combined", "iou")),
        (("raunet/losses", "focal"), ("raunet/losses-combined", "focal")),
        (("raunet/losses-combined", "focal-iou"), ("raunet/bands", "14")),
        (("raunet/bands", "23"), ("raunet/heads", "mono-branch")),
        (("raunet/heads", "multi-resolution"), ("raunet/backbones", "u-net")),
        (("raunet/backbones", "u-net"), ("raunet/improved-unet", "traditional")),
        (("raunet/backbones", "mobilenetv3"), ("raunet/small-models", "mobilenetv3")),
        (("raunet/improved-unet", "attention"), ("raunet/rau-net", "attention")),
        (("raunet/improved-unet", "convolution-blocks"), ("raunet/rau-net", "convolution-blocks")),
        (("raunet/rau-net", "rau-net-1"), ("raunet/optimizers", "adam")),
        (("raunet/optimizers", "adam"), ("raunet/post-processing", "threshold-0.5")),
        (("raunet/post-processing", "threshold-0.5"), ("raunet/k-fold-thresholds", "fold-1-0.5")),
        (("raunet/post-processing", "threshold-0.95"), ("raunet/k-fold-thresholds", "fold-1-0.95")),
        (("detection/backbones", "vit-large"), ("detection/pretraining", "vit-large-imagenet")),
        (("detection/backbones", "swin-tiny"), ("detection/pretraining", "swin-tiny-imagenet")),
        (("detection/backbones", "swin-base"), ("detection/pretraining", "swin-base-imagenet")),
    ],
    ids=lambda where: "-".join(where).replace("/", "-"),
)
def test_a_result_that_is_printed_in_two_tables_has_the_same_scores(one, other):
    assert scores(*one) == scores(*other)


def test_the_small_rau_net_after_thresholding_is_no_other_row():
    after = scores("raunet/small-models", "small-rau-net-threshold")
    assert after["miou"] is None
    assert after["f1"] > scores("raunet/small-models", "small-rau-net")["f1"]


def test_the_folds_with_slope_and_elevation_are_printed_twice_once_in_per_cent():
    folds = [r for r in reports.table("raunet/k-fold-thresholds").rows if not r.ours]
    percent = [r for r in reports.table("raunet/sentinel-only").rows if r.id.startswith("polsar")]
    assert len(folds) == len(percent)
    for fold, other in zip(folds, percent, strict=True):
        for metric in ("miou", "f1"):
            assert round(100 * fold.reported[metric], 2) == other.reported[metric]


@pytest.mark.parametrize("row", ["no", "yes"])
def test_mean_and_deviation_of_the_folds_are_those_of_their_rows(row):
    table, folds = reports.table("raunet/k-fold").row(row), ALL["raunet"].tables
    f1 = [folds[name].row(fold).reported["f1"] for name, fold in (source.split("/") for source in table.source)]
    assert len(f1) == ALL["raunet"].facts["folds"].value
    assert round(np.mean(f1), 4) == table.reported["mean_f1"]
    # The folds are printed rounded, which moves the deviation by half a unit at most.
    assert abs(np.std(f1) - table.reported["std_f1"]) < 1e-4
    assert abs(np.std(f1, ddof=1) - table.reported["std_f1"]) > 1e-3


def test_the_mean_over_folds_of_the_fusion_is_that_of_its_rows():
    table = reports.table("fusion/cross-validation")
    mean = table.row("efficientnetv2-l-mean")
    f1 = [table.row(source).reported["f1"] for source in mean.source]
    assert mean.reported["f1"] == f"{np.mean(f1):.4f} ± {np.std(f1):.3f}"


def test_the_gap_between_public_and_private_is_their_difference():
    public, private, gap = (scores("fusion/test", row)["f1"] for row in ("public", "private", "gap"))
    assert gap == f"{public - private:.3f} ({100 * (public - private):.1f}%)"


def test_the_printed_confusion_matrix_gives_none_of_the_scores_under_it():
    # The report's own slip, kept as printed: who "corrects" a cell breaks this.
    cells = reports.table("fusion/confusion").row("fold-3").reported
    tp, fp, fn = cells["tp"], cells["fp"], cells["fn"]
    assert round(100 * tp / (tp + fp), 1) != cells["precision"]
    assert round(100 * tp / (tp + fn), 1) != cells["recall"]
    assert round(200 * tp / (2 * tp + fp + fn), 1) != cells["f1"]
    p, r = cells["precision"], cells["recall"]
    assert round(2 * p * r / (p + r), 1) == cells["f1"]


def test_the_facts_repeat_what_the_tables_say():
    facts = {name: report.facts for name, report in ALL.items()}
    raunet = facts["raunet"]
    assert raunet["best_f1"].value == scores("raunet/post-processing", "threshold-0.95")["f1"]
    assert raunet["mean_f1"].value == scores("raunet/k-fold", "yes")["mean_f1"]
    first = float(scores("raunet/leaderboard", "pos-1")["score"])
    assert raunet["leaderboard_f1"].value == round(first, 4)
    refinement = facts["refinement"]
    best = scores("refinement/validation", "round-4-ensemble")["f1"]
    assert refinement["validation_f1"].value == best
    assert refinement["test_f1"].value == scores("refinement/test", "round-3")["f1"]
    assert refinement["test_baseline_f1"].value == scores("refinement/test", "baseline")["f1"]
    energy = reports.table("filter/energy")
    for row, when in (("no-filter", "before"), ("with-filter", "after")):
        cells = energy.row(row).reported
        assert cells["energy"] == facts["filter"][f"energy_{when}"].value
        assert cells["positives"] == f"~{facts['filter'][f'positive_{when}'].value}%"


def test_the_split_of_the_raunet_is_its_share_of_the_patches():
    facts = ALL["raunet"].facts
    assert facts["train_split"].value + facts["test_split"].value == facts["images"].value
    share = facts["train_share"].value / 100
    assert abs(facts["train_split"].value - share * facts["images"].value) < 1


def test_the_rounds_of_the_refinement_are_readings_and_its_scores_are_not():
    for row in reports.table("refinement/validation").rows:
        assert "f1" not in row.uncertain
        if row.ours:
            continue
        unsure = row.reported["refinement"] is not None
        assert set(row.uncertain) == ({"refinement", "sn", "slo", "sp"} if unsure else set())


def test_the_rows_of_the_refinement_train_as_the_report_states():
    facts = ALL["refinement"].facts
    rows = [(table, row) for table in ALL["refinement"].tables.values() for row in table.rows if not row.ours]
    assert {table.name for table, _ in rows} == {"refinement/validation", "refinement/test"}
    for table, row in rows:
        made = reports.resolve(table, row)
        for one in (made, *made.ancestors):
            assert one.augmentation == ("flips", "rotation", "colour")
            assert not one.hold_out
            assert one.norms == ("cross_sensor" if one.rounds else "batch")
            assert one.batch == facts["batch"].value
            # A step takes a whole batch of the patches; epochs come as near to the stated steps as whole ones can.
            steps = facts["train_images"].value // one.batch
            assert abs(one.epochs * steps - facts["steps"].value) <= steps / 2


def test_the_leaderboard_is_in_the_order_of_its_scores():
    board = [float(row.reported["score"]) for row in reports.table("raunet/leaderboard").rows]
    assert board == sorted(board, reverse=True)
    assert [row.reported["pos"] for row in reports.table("raunet/leaderboard").rows] == list(range(1, len(board) + 1))
