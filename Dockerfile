# syntax=docker/dockerfile:1
# One image with one program: `crossfade service NAME` runs a service, every other command works too.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# kafka-tls: TLS and SCRAM to the brokers, with OpenSSL built in. Needs a C compiler, make and perl, all in this image.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package crossfade --features bus/kafka-tls \
 && install -s target/release/crossfade /usr/local/bin/crossfade

# No shell, no package manager; certificates of the public authorities; user 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /usr/local/bin/crossfade /usr/local/bin/crossfade
COPY plans /plans
ENV CROSSFADE_LOG_FORMAT=json
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/crossfade"]
CMD ["--help"]
