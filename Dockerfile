# API and page in one image; compose.yaml starts it once as each. vLLM is a server of its own.
FROM python:3.11-slim-bookworm

RUN apt-get update && apt-get install -y --no-install-recommends \
        tesseract-ocr tesseract-ocr-eng tesseract-ocr-deu tesseract-ocr-fra tesseract-ocr-ita \
        tesseract-ocr-por tesseract-ocr-spa tesseract-ocr-hin tesseract-ocr-tha \
        libreoffice-writer-nogui libreoffice-calc-nogui libreoffice-impress-nogui \
        libmagic1 fonts-dejavu-core \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY requirements.lock pyproject.toml README.md LICENSE ./
# torch first and alone, as in the Makefile: pip then takes the build that its configuration prefers.
RUN pip install --no-cache-dir --constraint requirements.lock torch \
    && pip install --no-cache-dir --no-deps --requirement requirements.lock
COPY rag rag
COPY ingest ingest
COPY ui ui
COPY deploy deploy
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable . && pip check

RUN useradd --uid 10001 --create-home --home-dir /home/citadel citadel \
    && install -d -o citadel -g citadel /data
USER 10001:10001
ENV HOME=/tmp PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["/app/deploy/entrypoint.sh"]
CMD ["citadel", "serve", "--no-page", "--host", "0.0.0.0"]
