#!/usr/bin/env bash
# Install the programs that tests and benchmarks talk to. A second run does only what is missing or has a new version.
#
#   Debian's packages     into the system, so that this needs root there
#   Go programs           .peers/bin/NAME, built from the version in peers.versions, which .peers/NAME.version repeats
#   the AWS CLI, newest   .peers/aws-cli, a virtual environment of its own, pinned by requirements/aws-cli.txt; .peers/bin/aws
#
# tests/peers.py finds them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

debian_packages=(
    awscli                        # the second AWS CLI, and an older one
    skopeo umoci                  # clients that need no privileges
    buildah podman crun netavark  # and those that run containers; their recommendations are for hosts that do so for real
    ca-certificates
    postgresql
    strace
    tzdata                        # without it TZ is silently UTC
)

install_debian_packages() {
    local missing=() package
    for package in "${debian_packages[@]}"; do
        [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    echo "peers: installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update --quiet=2
    apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}" >.peers/apt.log 2>&1 || {
        cat .peers/apt.log >&2
        return 1
    }
}

# A module of our own that requires just the one version: it builds with the requirements its authors released it with,
# checked against the checksum database, and also when the module proxy has no list of its versions.
build_go_program() {
    local name=$1 module=$2 version=$3 package=$module/$4 folder
    package=${package%/.}
    [[ -x .peers/bin/$name && $(cat ".peers/$name.version" 2>/dev/null) == "$version" ]] && return
    command -v go >/dev/null || {
        echo "peers: building $name needs go on PATH" >&2
        return 1
    }
    echo "peers: building $name $version"
    folder=$(mktemp --directory)
    printf 'module peer\n\ngo 1.25.0\n\nrequire %s %s\n' "$module" "$version" >"$folder/go.mod"
    local build=(build)
    [[ $name != conformance-legacy ]] || build=(test -c)
    GOFLAGS=-mod=mod CGO_ENABLED=0 go -C "$folder" "${build[@]}" -o "$PWD/.peers/bin/$name" "$package"
    rm -r "$folder"
    echo "$version" >".peers/$name.version"
}

install_aws_cli() {
    cmp --quiet requirements/aws-cli.txt .peers/aws-cli/installed && return
    echo "peers: installing the AWS CLI"
    "${PYTHON:-python3}" -m venv --clear .peers/aws-cli
    .peers/aws-cli/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements/aws-cli.txt
    ln --symbolic --force ../aws-cli/bin/aws .peers/bin/aws
    cp requirements/aws-cli.txt .peers/aws-cli/installed
}

mkdir --parents .peers/bin
install_debian_packages
while read -r name module version package; do
    [[ $name == '#' ]] || build_go_program "$name" "$module" "$version" "$package" </dev/null
done <scripts/peers.versions
install_aws_cli

# One that does not start is found here rather than in a test.
skopeo --version
umoci --version
buildah --version
podman --version
strace --version | head --lines=1
/usr/bin/aws --version
.peers/bin/aws --version
echo "crane $(.peers/bin/crane version)"
echo "oras $(.peers/bin/oras version | head --lines=1)"
echo "helm $(.peers/bin/helm version --short)"
echo "regctl $(.peers/bin/regctl version | head --lines=1)"
.peers/bin/versitygw --version | head --lines=2
/usr/lib/postgresql/*/bin/postgres --version
OCI_ROOT_URL=http://127.0.0.1 OCI_NAMESPACE=none .peers/bin/conformance-legacy -test.list Conformance
