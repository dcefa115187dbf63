# Sourced by install.sh and build-deb.sh: makes a release, a virtual environment that only has to be put in its place.
# shellcheck shell=bash

# What edged needs beside its core: sound cards through PortAudio, and the MQTT bridge.
RELEASE_EXTRAS=microphone,mqtt

# Put exactly the wheels edged needs into an empty directory, its own among them. Nothing is compiled.
collect_wheels() { # PYTHON SOURCE OUT [OFFLINE]
    local python=$1 source=$2 out=$3 offline=${4:-} own=
    local pip=("$python" -m pip --disable-pip-version-check --quiet) build
    build=$(mktemp -d "$out/.build.XXXXXX")
    if [ -n "$offline" ]; then
        own=$(find "$offline" -maxdepth 1 -name 'edged-*.whl' | sort -V | tail -n 1)
    fi
    if [ -z "$own" ]; then
        # a copy, since setuptools leaves its own files in what it builds
        tar -C "$source" --exclude=__pycache__ --mode=u=rwX,go=rX -cf - pyproject.toml README.md LICENSE edged trainer |
            tar -C "$build" -xf - || fail "$source is not edged's source" "run this from a complete copy of it"
        SOURCE_DATE_EPOCH=$(source_date "$source") "${pip[@]}" wheel --no-deps --wheel-dir "$build/own" "$build" ||
            fail "edged's own wheel could not be built" "see pip's message above; without network: --offline WHEELDIR"
        own=$(find "$build/own" -name 'edged-*.whl')
    fi
    local from=()
    [ -z "$offline" ] || from=(--no-index --find-links "$offline")
    "${pip[@]}" download --only-binary :all: --dest "$out" "${from[@]}" "${own}[$RELEASE_EXTRAS]" ||
        fail "a package edged needs could not be had" \
            "see pip's message above; for a computer without network: install.sh --download WHEELDIR on one like it"
    rm -rf "$build"
}

# pycuda, which engines need, exists as source only: it is built by this computer's CUDA compiler, and kept, since that
# takes minutes. Fails where it cannot be had.
collect_pycuda() { # PYTHON OUT KEPT [OFFLINE]
    local python=$1 out=$2 kept=$3 offline=${4:-} place built compilers=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin
    local pip=("$python" -m pip --disable-pip-version-check --quiet)
    for place in ${offline:+"$offline"} "$kept"; do
        ! "${pip[@]}" download --no-index --find-links "$place" --only-binary :all: --dest "$out" pycuda 2>/dev/null ||
            return 0
    done
    [ -z "$offline" ] || return 1
    PATH=$compilers command -v nvcc >/dev/null || return 1
    say "building pycuda, some minutes"
    built=$(mktemp -d "$out/.build.XXXXXX")
    # put there when it is whole: an interrupted build must not look like a finished one
    if PATH=$compilers "${pip[@]}" wheel --wheel-dir "$built" pycuda; then
        mkdir -p "$kept" && cp "$built"/*.whl "$kept" && mv "$built"/*.whl "$out"
    fi
    rm -rf "$built"
    compgen -G "$out/pycuda-*.whl" >/dev/null
}

# What engines need beside the system's TensorRT; without it the CPU runs the networks, which is no reason to stop.
collect_engine_packages() { # PYTHON OUT KEPT [OFFLINE]
    ! "$1" -c 'import pycuda' 2>/dev/null || return 0
    collect_pycuda "$@" || say "without pycuda the CPU runs the networks. Engines need it: install CUDA (sudo apt" \
        "install nvidia-jetpack), a compiler and Python's headers (sudo apt install g++ python3-dev), and install again"
}

# The time that what is built bears, in seconds since 1970: the same source gives the same bytes.
source_date() { # SOURCE
    printf '%s\n' "${SOURCE_DATE_EPOCH:-$(git -C "$1" log -1 --format=%ct 2>/dev/null || stat -c %Y "$1/CHANGELOG.md")}"
}

# What a release is called: the version, and a digest of every wheel that goes into it and of how it was made.
release_name() { # WHEELS [OPTION...]
    local wheels=$1 version digest
    shift
    version=$(basename "$(find "$wheels" -maxdepth 1 -name 'edged-*.whl')" | cut -d- -f2)
    digest=$({ (cd "$wheels" && LC_ALL=C sha256sum ./*.whl) && printf '%s' "$*"; } | sha256sum | cut -c1-8)
    printf '%s-%s\n' "$version" "$digest"
}

# Make an empty virtual environment for a release; its pip serves to fill it.
new_environment() { # PYTHON STAGE [OPTION...]
    "$1" -m venv "${@:3}" "$2" || fail "no virtual environment in $2" "sudo apt install python3-venv"
}

# Whether the edged installed there knows all that a release is made with; pip only warns of what it does not.
has_extras() { # PACKAGES
    local extra
    for extra in ${RELEASE_EXTRAS//,/ }; do
        grep -qx "Provides-Extra: $extra" "$1"/edged-*.dist-info/METADATA || return 1
    done
}

# Fill an environment made in STAGE and make it one that runs in FINAL.
build_release() { # SOURCE WHEELS STAGE FINAL
    local source=$1 wheels=$2 stage=$3 final=$4 packages wanted=("edged[$RELEASE_EXTRAS]")
    ! compgen -G "$wheels/pycuda-*.whl" >/dev/null || wanted+=(pycuda)
    # all of them, whatever of it the system has too: that changes with the system
    "$stage/bin/python" -m pip --disable-pip-version-check --quiet install --no-index --no-compile --ignore-installed \
        --find-links "$wheels" "${wanted[@]}" || fail "pip could not install the wheels of $wheels"
    packages=$(echo "$stage"/lib/python3.*/site-packages)
    has_extras "$packages" || fail "the edged wheel is older than this source, and lacks one of $RELEASE_EXTRAS" \
        "fill a new directory: install.sh --download WHEELDIR"

    # what served to fill it, and what names the place it was filled in
    rm -rf "$packages"/{pip,pip-*,setuptools,setuptools-*,pkg_resources,_distutils_hack,distutils-precedence.pth}
    find "$stage/bin" -mindepth 1 ! -name 'python*' -delete
    find "$packages" -name __pycache__ -prune -exec rm -rf {} +
    # only what is in bin/ is started
    find "$packages" -type f -perm /111 -exec chmod a-x {} +
    find "$packages" -path '*.dist-info/RECORD' -exec sed -i '/^\.\.\/\.\.\/\.\.\/bin\//d' {} +
    sed -i "/^command = /d; s|$stage|$final|g" "$stage/pyvenv.cfg"
    printf '#!%s/bin/python\nimport sys\n\nfrom edged.cli.main import main\n\nsys.exit(main())\n' "$final" \
        >"$stage/bin/edged"
    chmod 755 "$stage/bin/edged"

    install -d "$stage/libexec"
    install -m 755 "$source/deploy/activate.sh" "$stage/libexec/activate"
    install -m 755 "$source/deploy/guarded.sh" "$stage/libexec/guarded"
    install_units "$source/systemd" "$stage/share/units"
    install -d "$stage/share/doc/edged"
    install -m 644 "$source"/{README.md,CHANGELOG.md,LICENSE} "$source"/deploy/{CONFIG.md,JETSON.md,FLEET.md} \
        "$source"/deploy/{edged.example.yaml,udev/70-edged-microphones.rules} "$stage/share/doc/edged"
    install -m 644 "$source/deploy/README.md" "$stage/share/doc/edged/SERVICE.md"
    (cd "$wheels" && LC_ALL=C sha256sum ./*.whl) >"$stage/share/doc/edged/WHEELS.sha256"
}

# The files of systemd, as they lie below /usr/lib or /usr/local/lib.
install_units() { # FROM TO
    install -D -m 644 "$1/edged.service" "$2/systemd/system/edged.service"
    install -D -m 644 "$1/edged-compile.service" "$2/systemd/system/edged-compile.service"
    install -D -m 644 "$1/edged-mqtt.service" "$2/systemd/system/edged-mqtt.service"
    install -D -m 644 "$1/edged.preset" "$2/systemd/system-preset/50-edged.preset"
    install -D -m 644 "$1/edged.sysusers" "$2/sysusers.d/edged.conf"
    install -D -m 644 "$1/edged.tmpfiles" "$2/tmpfiles.d/edged.conf"
    [ "$(systemd_version)" -lt 254 ] || # no systemd here, as where packages are built: as if it were an old one
        install -D -m 644 "$1/edged.service.d/backoff.conf" "$2/systemd/system/edged.service.d/backoff.conf"
}

systemd_version() {
    local version
    version=$({ systemctl --version 2>/dev/null || true; } | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
    printf '%s\n' "${version:-0}"
}

# The interpreter a service may use: one that is there for every user, and stays.
find_system_python() {
    local python base
    python=$(PYTHON=${PYTHON:-/usr/bin/python3} find_python) || exit 1
    base=$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))')
    case $base in
        /home/* | /root/* | /tmp/*) fail "$base: the service cannot reach this Python" "use the system's: PYTHON=/usr/bin/python3" ;;
    esac
    printf '%s\n' "$python"
}
