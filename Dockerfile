# The gateway as an image. The explorer and the wheel are built in stages of their own, and none of their tools stays.

FROM node:20-slim AS explorer
WORKDIR /explorer
COPY gateway/explorer/package.json gateway/explorer/package-lock.json ./
RUN npm ci --no-fund --no-audit
COPY gateway/explorer ./
RUN npm run build

FROM python:3.13-slim AS wheel
WORKDIR /build
COPY requirements.txt ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY db db
COPY loaders loaders
COPY resolvers resolvers
COPY schema schema
COPY gateway gateway
COPY --from=explorer /explorer/dist gateway/explorer/dist
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheel .

FROM python:3.13-slim AS install
RUN python -m venv /opt/clonegraph
COPY requirements-run.txt ./
RUN /opt/clonegraph/bin/pip install --no-cache-dir --require-hashes --requirement requirements-run.txt
COPY --from=wheel /wheel /wheel
RUN /opt/clonegraph/bin/pip install --no-cache-dir --no-deps /wheel/*.whl \
    && /opt/clonegraph/bin/pip uninstall --yes pip

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data clonegraph \
    && install --directory --owner clonegraph --mode 700 /data
COPY --from=install /opt/clonegraph /opt/clonegraph
ENV PATH=/opt/clonegraph/bin:$PATH PYTHONUNBUFFERED=1 DATA_DIR=/data
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=2)"]
ENTRYPOINT ["clonegraph"]
CMD ["serve", "--host", "0.0.0.0"]
