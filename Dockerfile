# syntax=docker/dockerfile:1
# docker build --build-arg VERSION=v1.2.3 -t REPOSITORY:v1.2.3 .
#
# The SQL parser is PostgreSQL's own, in C: a build needs a C compiler for its platform. The binary is static, so the
# final image has no C library that would have to fit. The image of Go is the version that go.mod names.
FROM golang:1.26.8-bookworm AS build
ENV CGO_ENABLED=1
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
# The parser takes minutes: a layer of its own, which stays while go.mod does.
RUN go build -trimpath github.com/pganalyze/pg_query_go/v6
COPY . .
ARG VERSION=devel
RUN go build -trimpath -buildvcs=false -tags netgo,osusergo \
      -ldflags="-s -w -X main.linkedVersion=${VERSION} -linkmode external -extldflags -static" \
      -o /pgrecall ./cmd/pgrecall

FROM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=devel
LABEL org.opencontainers.image.title=pgrecall \
      org.opencontainers.image.description="Caching proxy for PostgreSQL" \
      org.opencontainers.image.source=https://github.com/pgrecall/pgrecall \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.version=${VERSION}
COPY --from=build /pgrecall /usr/bin/pgrecall
COPY config.example.yaml /etc/pgrecall/config.example.yaml
COPY LICENSE /usr/share/doc/pgrecall/LICENSE
# Inside a container loopback reaches nobody. Publish the ports to where they are needed only.
ENV PGRECALL_LISTEN=0.0.0.0:6432 PGRECALL_ADMIN=0.0.0.0:9632
EXPOSE 6432 9632
# nonroot, in digits: Kubernetes can't tell by a name that it is not root.
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["/usr/bin/pgrecall", "health"]
ENTRYPOINT ["/usr/bin/pgrecall"]
CMD ["serve"]
