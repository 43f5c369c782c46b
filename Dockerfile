# The image holds one static binary, the certificates of public authorities and a folder for its state: no shell, no libc.
#
#   docker build --build-arg VERSION=1.0.0 --build-arg REVISION="$(git rev-parse HEAD)" --tag shipperd:1.0.0 .
#   docker buildx build --platform linux/amd64,linux/arm64 …

# Built on the builder's own platform for the target's: Go cross-compiles, an emulator would take minutes.
FROM --platform=$BUILDPLATFORM golang:1.26.8-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=unknown
ARG REVISION=unknown
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION -X main.commit=$REVISION" -o /image/shipperd ./cmd/shipperd && \
    mkdir -p /image/var/lib/shipperd

FROM scratch
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="shipperd" \
      org.opencontainers.image.description="CloudWatch Logs from Kinesis into Elasticsearch and OpenSearch" \
      org.opencontainers.image.source="https://github.com/shipperd/shipperd" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /image/shipperd /shipperd
# A new volume mounted here takes over this owner; the root file system may be read-only.
COPY --from=build --chown=65532:65532 /image/var/lib/shipperd /var/lib/shipperd
USER 65532:65532
WORKDIR /var/lib/shipperd
# Not the loopback default: inside a container nothing else could scrape it.
ENV SHIPPERD_ADMIN_LISTEN=:9477
EXPOSE 9477
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["/shipperd", "healthcheck"]
ENTRYPOINT ["/shipperd"]
CMD ["run"]
