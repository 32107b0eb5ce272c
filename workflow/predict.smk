"""A scene larger than a machine: `landslide predict` by rows of the scene, a job each, joined at the end.

    snakemake -s workflow/predict.smk --cores all --config scene=scene.tif out=probability.tif
    snakemake -s workflow/predict.smk --config scene=scene.tif out=probability.tif rows=2048 \
        options='--model simulated' --executor slurm --jobs 50

What comes out is what one `landslide predict` would write. `rows` are those of a job, 4,096 unless said; a job computes
up to two rows of windows more than its own.
"""

import sys
from pathlib import Path

import rasterio

LANDSLIDE = Path(sys.executable).parent / "landslide"
SCENE, OUT = Path(config["scene"]), Path(config["out"])
ROWS, OPTIONS = int(config.get("rows", 4096)), config.get("options", "")
with rasterio.open(SCENE) as file:
    HEIGHT = file.height
PARTS = {f"{first:08}": f"{first}:{min(first + ROWS, HEIGHT)}" for first in range(0, HEIGHT, ROWS)}


rule join:
    input:
        expand(f"{OUT}.parts/{{first}}.tif", first=PARTS),
    output:
        OUT,
    run:
        from landslide_lib.geo.cog import join

        join([Path(path) for path in input], OUT)


rule rows:
    input:
        SCENE,
    output:
        temp(f"{OUT}.parts/{{first}}.tif"),
    params:
        rows=lambda wildcards: PARTS[wildcards.first],
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=720,
    shell:
        "TQDM_DISABLE=1 {LANDSLIDE:q} predict {input:q} --rows {params.rows} {OPTIONS} -o {output:q}"
