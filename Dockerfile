# The image of the manager and of every collector: two static programs, no shell.
#
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=0.1.0 -t ghcr.io/logsource/operator:0.1.0 .
#
# Without docker, hack/image.sh builds the same image: it reads the final stage below.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETARCH
ARG VERSION=dev
RUN GOARCH=$TARGETARCH VERSION=$VERSION hack/build.sh /out

FROM scratch
ARG VERSION=dev
LABEL org.opencontainers.image.title="logsource" \
      org.opencontainers.image.description="Log ingestion for Kubernetes: the manager and the collector" \
      org.opencontainers.image.source="https://github.com/logsource/operator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
# For https destinations whose certificate a public authority signed.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/manager /out/collector /
USER 65532:65532
ENTRYPOINT ["/collector"]
