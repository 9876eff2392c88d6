# The command, and the reference backend on port 8500. compose.yaml runs the backend, load/compose.yaml the command.
ARG PYTHON_IMAGE=python:3.11-slim
FROM ${PYTHON_IMAGE}
COPY pyproject.toml requirements-dev.lock README.md LICENSE /source/
COPY contracts/reference /source/contracts/reference
COPY src /source/src
RUN python -m pip install --no-cache-dir --constraint /source/requirements-dev.lock "/source[reference]" \
 && mkdir -m 700 /home/upheld && chown 10001:10001 /home/upheld
USER 10001:10001
ENV HOME=/home/upheld
WORKDIR /home/upheld
EXPOSE 8500
CMD ["python", "-m", "upheld.reference", "--host", "0.0.0.0"]
