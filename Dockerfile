# All of mezzo in one image: `docker run mezzo master ...`, `... agent ...`, `... marathon ...`.
#
#     docker build -t mezzo .
#
# Without a package index: `make wheelhouse`, then
#     docker build -t mezzo --build-arg PIP_NO_INDEX=1 --build-arg PIP_FIND_LINKS=build/wheelhouse .
FROM python:3.11-slim AS build
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
WORKDIR /src
COPY . .
# The environment gets no pip: the one outside installs into it.
RUN python -m venv --without-pip /opt/mezzo \
    && pip --python /opt/mezzo/bin/python install --no-cache-dir .

FROM python:3.11-slim
COPY --from=build /opt/mezzo /opt/mezzo
ENV PATH=/opt/mezzo/bin:$PATH PYTHONUNBUFFERED=1
ENTRYPOINT ["mezzo"]
CMD ["--help"]
