# pg_query is C, so the binary is linked against glibc: build and final image are of one Debian release.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=1 go build -trimpath -buildvcs=false -ldflags="-s -w" -o /pgrecall ./cmd/pgrecall

FROM gcr.io/distroless/base-debian12:nonroot
COPY --from=build /pgrecall /usr/local/bin/pgrecall
COPY config.example.yaml /etc/pgrecall/config.example.yaml
COPY LICENSE /usr/share/doc/pgrecall/LICENSE
# Inside a container loopback reaches nobody. Publish the ports to where they are needed only.
ENV PGRECALL_LISTEN=0.0.0.0:6432 PGRECALL_ADMIN=0.0.0.0:9632
EXPOSE 6432 9632
USER nonroot:nonroot
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/pgrecall"]
CMD ["serve"]
