# `landslide serve` on a server, or as a Space of Hugging Face (SDK "docker", app_port 7860):
#   docker build -t landslide . && docker run --rm -p 7860:7860 --memory 6g landslide
FROM python:3.12-slim
# libexpat is the one library that rasterio's wheel leaves to the system.
RUN apt-get update && apt-get install -y --no-install-recommends libexpat1 && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 landslide
WORKDIR /home/landslide
COPY --chown=landslide . checkout
# torch for the CPU, which is a tenth of the one for a GPU.
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu "torch>=2.5" "torchvision" \
    && pip install --no-cache-dir "./checkout[geo]" && rm -rf checkout
USER landslide
ENV PORT=7860
EXPOSE 7860
# Another model: docker run … landslide landslide serve --host 0.0.0.0 --port 7860 --model FILE
CMD ["sh", "-c", "exec landslide serve --host 0.0.0.0 --port $PORT"]
HEALTHCHECK --start-period=120s --interval=30s --timeout=5s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health')"]
