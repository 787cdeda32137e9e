# One image for every mode of kfbus: `docker build -t kfbus:local .`
# There is no "syntax" line, so that no builder asks a registry for one.
ARG GO_IMAGE=golang:1.26
ARG BUILDPLATFORM=linux/amd64
FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETARCH
ARG VERSION=devel
RUN mkdir -p /out/etc/ssl/certs && cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ \
    && VERSION=$VERSION sh deploy/binary.sh /out/kfbus $TARGETARCH

# No shell, no libc, no package manager: the binary, which carries the time zones, and the CA certificates.
FROM scratch
ARG VERSION=devel
ARG REVISION=unknown
LABEL org.opencontainers.image.title="kfbus" \
      org.opencontainers.image.description="WeChat Customer Service on NATS JetStream" \
      org.opencontainers.image.source="https://github.com/kfbus/kfbus" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION
COPY --from=build /out/ /
USER 65532:65532
ENV KF_ADMIN_ADDR=:9090 KF_INGRESS_ADDR=:8080
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=4s --start-period=30s CMD ["/kfbus", "health"]
ENTRYPOINT ["/kfbus"]
