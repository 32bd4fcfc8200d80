#!/bin/sh
# Builds the container image (`image.sh build`), or builds and tries it on a machine that need not reach a registry of
# images (`image.sh test`). IMAGE, BASE, GPU, ENGINE, CA, MIRROR and INDEX are told by the Makefile; empty means not given.
set -eu
cd "$(dirname "$0")/.."
say() { echo "graft: $1" >&2; }
fail() { say "$1"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# Prints the first engine that answers; a client of Docker alone builds nothing.
engine() {
	if [ -n "${ENGINE:-}" ]; then echo "$ENGINE"
	elif has docker && docker info >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1; then echo docker
	elif has podman && podman info >/dev/null 2>&1; then echo podman
	elif [ "$1" = build ] && has buildah && buildah info >/dev/null 2>&1; then echo buildah
	elif [ "$1" = build ]; then fail "no docker (with buildx and its daemon), podman or buildah works here; on Debian: apt-get install buildah"
	else fail "no docker (with buildx and its daemon) or podman works here; on Debian: apt-get install podman runc"
	fi
}

# Arguments: the base, and what the image is to be called.
build() {
	base=$1 image=$2
	# Of what was committed last: the same commit gives the same times.
	epoch=$(git log -1 --format=%ct 2>/dev/null || echo 0)
	set -- -f kubeflow/Dockerfile -t "$image" --build-arg "BASE=$base" --build-arg "GPU=${GPU:-}" --build-arg "INDEX=${INDEX:-}"
	set -- "$@" --label "org.opencontainers.image.revision=$(git describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null || echo unknown)"
	[ -z "${CA:-}" ] || set -- "$@" --secret "id=ca,src=$CA"
	case $engine in
	docker*) set -- build --build-arg "SOURCE_DATE_EPOCH=$epoch" "$@" ;;
	# Older ones take a layer from the cache though a mounted script has changed.
	*) set -- build --no-cache --timestamp "$epoch" "$@" ;;
	esac
	# shellcheck disable=SC2086 # an engine may bring arguments
	$engine "$@" .
}

# Makes Debian's base with debootstrap: what debian:trixie-slim is, less its trimmed documentation.
bootstrap() {
	# shellcheck disable=SC2086
	if $engine image inspect "$1" >/dev/null 2>&1; then
		say "$1 is there already and is used; $engine rmi $1 has it made anew"
		return
	fi
	has debootstrap || fail "debootstrap is missing, which makes the base; on Debian: apt-get install debootstrap. Or name one: BASE=debian:trixie-slim"
	[ "$(id -u)" = 0 ] || fail "debootstrap needs root, this is user $(id -u). Or name a base: BASE=debian:trixie-slim"
	debootstrap --variant=minbase trixie "$work/base" "${MIRROR:-http://deb.debian.org/debian}" >"$work/debootstrap.log" ||
		fail "debootstrap: $(tail -1 "$work/debootstrap.log")"
	rm -rf "$work/base/var/cache/apt/archives/"*.deb
	# shellcheck disable=SC2086
	tar -C "$work/base" -c . | $engine import - "$1" >/dev/null
}

# Runs a command in the image as a pod of kubeflow/manifests does: no capability, a root that cannot be written.
pod() {
	most=$(ulimit -Hn)
	# shellcheck disable=SC2086
	$engine run --rm --read-only --tmpfs /tmp:mode=1777 --user 1000:1000 --cap-drop ALL --security-opt no-new-privileges \
		--network none --ulimit "nofile=$most:$most" --ulimit nproc=4096:4096 \
		-v "$PWD/kubeflow/image:/build:ro" -v "$work/volume:/mnt/graft" "$IMAGE" "$@"
}

engine=$(engine "$1")
case $1 in
build)
	build "${BASE:-debian:trixie-slim}" "${IMAGE:-graft:latest}"
	;;
test)
	IMAGE=${IMAGE:-localhost/graft:test}
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	started=$(date +%s)
	# Runs the steps without a container of their own: this works in a container, too.
	export BUILDAH_ISOLATION="${BUILDAH_ISOLATION:-chroot}"
	base=${BASE:-localhost/graft-base:trixie}
	[ -n "${BASE:-}" ] || bootstrap "$base"
	# Known before the minutes that the build takes: crun refuses machines with both kinds of cgroups.
	if [ "$engine" = podman ] && ! said=$(podman run --rm --network none "$base" true 2>&1); then
		has runc || fail "podman starts no container here: $said; where it names cgroups, on Debian: apt-get install runc"
		engine="podman --runtime runc"
	fi
	build "$base" "$IMAGE"
	built=$(date +%s)
	mkdir -m 0777 "$work/volume"
	pod python -B /build/contents.py
	pod python -B /build/pipeline.py /mnt/graft
	say "image-test: base and build $((built - started)) s, contents and pipeline $(($(date +%s) - built)) s, with $engine"
	;;
*) fail "image.sh $1: allowed: build, test" ;;
esac
