# Targets: `operator` (default, last) and `shop`, the demo's application.
ARG PYTHON=docker.io/library/python:3.13-slim

FROM ${PYTHON} AS build
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never UV_NO_CACHE=1
RUN pip install --no-cache-dir --root-user-action=ignore "uv>=0.13,<0.14"
WORKDIR /src
# What is installed from the index comes first, so that a change of the sources does not install it again.
COPY pyproject.toml ./
COPY services/pyproject.toml services/pyproject.toml
COPY operator/pyproject.toml operator/pyproject.toml
COPY examples/demo/shop/pyproject.toml examples/demo/shop/pyproject.toml
ENV UV_PROJECT_ENVIRONMENT=/opt/carnelian

FROM build AS build-operator
RUN uv sync --no-default-groups --no-install-workspace --package carnelian-operator
COPY services services
COPY operator operator
RUN uv sync --no-default-groups --no-editable --package carnelian-operator

FROM build AS build-shop
RUN uv sync --no-default-groups --no-install-workspace --package carnelian-shop
COPY services services
COPY operator operator
RUN uv sync --no-default-groups --no-editable --package carnelian-shop

FROM ${PYTHON} AS shop
ENV PATH=/opt/carnelian/bin:$PATH PYTHONUNBUFFERED=1
COPY --from=build-shop /opt/carnelian /opt/carnelian
COPY examples/demo/shop /app
WORKDIR /app
USER 65532:65532
EXPOSE 8000
ENTRYPOINT ["uvicorn", "shop:app", "--host", "0.0.0.0", "--port", "8000", "--no-access-log"]

FROM ${PYTHON} AS operator
ENV PATH=/opt/carnelian/bin:$PATH PYTHONUNBUFFERED=1
COPY --from=build-operator /opt/carnelian /opt/carnelian
USER 65532:65532
ENTRYPOINT ["carnelian-operator"]
CMD ["run"]
