#!/usr/bin/env bash
# Build the Debian package; see `deploy/build-deb.sh --help`.
set -euo pipefail
umask 022
source_tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=deploy/environment.sh
. "$source_tree/deploy/environment.sh"
# shellcheck source=deploy/release.sh
. "$source_tree/deploy/release.sh"

usage() {
    cat <<USAGE
Usage: deploy/build-deb.sh [OPTION...]

Builds dist/edged_VERSION-REVISION_ARCHITECTURE.deb for computers like this one: the same distribution and processor.
All Python packages are inside; python3 and PortAudio are declared. The same source and the same wheels give the same
bytes; which wheels, the package says itself (/opt/edged/current/share/doc/edged/WHEELS.sha256).

  --offline WHEELDIR       take every package from this directory (deploy/install.sh --download WHEELDIR fills one)
  --revision N             Debian revision (default 1)
  --out DIR                where the package goes (default dist)
  --compression TYPE       xz (default), zstd, gzip or none
  --system-site-packages   use the target's Python packages too, such as a Jetson's TensorRT
  --help                   this

DEBFULLNAME and DEBEMAIL say who maintains the package.

Example: deploy/build-deb.sh && sudo apt install ./dist/edged_*.deb
USAGE
}

offline='' revision=1 out=$source_tree/dist compression=xz options=()
wrong_use() { printf 'error: %s\n' "$1" >&2; usage >&2; exit 2; }
while [ $# -gt 0 ]; do
    case $1 in
        --offline) offline=${2:-}; [ -d "$offline" ] || wrong_use "--offline needs a directory with wheels"; shift ;;
        --revision) revision=${2:-}; [[ $revision =~ ^[0-9a-z.+~]+$ ]] || wrong_use "--revision needs a number"; shift ;;
        --out) out=${2:-}; [ -n "$out" ] || wrong_use "--out needs a directory"; shift ;;
        --compression) compression=${2:-}; [ -n "$compression" ] || wrong_use "--compression needs a type"; shift ;;
        --system-site-packages) options=(--system-site-packages) ;;
        --help) usage; exit 0 ;;
        *) wrong_use "unknown option $1" ;;
    esac
    shift
done
command -v dpkg-deb >/dev/null || fail "dpkg-deb not found" "packages are built on Debian or Ubuntu"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
SOURCE_DATE_EPOCH=$(source_date "$source_tree")
export SOURCE_DATE_EPOCH

# -- the release, as it will lie in /opt -------------------------------------------------------------------------------
python=$(find_system_python)
mkdir -p "$work/wheels" "$work/package/opt/edged/releases"
say "getting the packages"
new_environment "$python" "$work/release" "${options[@]}"
collect_wheels "$work/release/bin/python" "$source_tree" "$work/wheels" "$offline"
if [ "${#options[@]}" -gt 0 ]; then
    collect_engine_packages "$work/release/bin/python" "$work/wheels" "$work/kept" "$offline"
fi
name=$(release_name "$work/wheels" "${options[@]}")
say "making $name"
build_release "$source_tree" "$work/wheels" "$work/release" "/opt/edged/releases/$name"
mv "$work/release" "$work/package/opt/edged/releases/$name"

# -- what lies elsewhere -----------------------------------------------------------------------------------------------
package=$work/package release=$work/package/opt/edged/releases/$name
install_units "$source_tree/systemd" "$package/usr/lib"
install -d "$package/usr/bin" "$package/usr/share/doc/edged" "$package/usr/share/lintian/overrides"
ln -s /opt/edged/current/bin/edged "$package/usr/bin/edged"
install -m 644 "$source_tree/deploy/debian/copyright" "$package/usr/share/doc/edged/copyright"
install -m 644 "$source_tree/deploy/debian/lintian-overrides" "$package/usr/share/lintian/overrides/edged"
version=${name%-*}-$revision
maintainer="${DEBFULLNAME:-edged} <${DEBEMAIL:-root@localhost}>"
printf 'edged (%s) unstable; urgency=medium\n\n  * See /opt/edged/current/share/doc/edged/CHANGELOG.md.\n\n -- %s  %s\n' \
    "$version" "$maintainer" "$(LC_ALL=C date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")" |
    gzip -9n >"$package/usr/share/doc/edged/changelog.Debian.gz"

# -- control files -----------------------------------------------------------------------------------------------------
install -d "$package/DEBIAN"
for script in preinst postinst prerm postrm; do
    sed "s|@RELEASE@|$name|g" "$source_tree/deploy/debian/$script" >"$package/DEBIAN/$script"
    chmod 755 "$package/DEBIAN/$script"
done
minor=$("$release/bin/python" -c 'import sys; print(sys.version_info.minor)')
architecture=$(dpkg --print-architecture)
libc=$(getconf GNU_LIBC_VERSION)
sed -e "s|@VERSION@|$version|; s|@ARCHITECTURE@|$architecture|; s|@SIZE@|$(du -sk "$package" | cut -f1)|" \
    -e "s|@MAINTAINER@|$(printf '%s' "$maintainer" | sed 's/[\\&|]/\\&/g')|; s|@LIBC@|libc6 (>= ${libc#* })|" \
    -e "s|@PYTHON@|python3 (>= 3.$minor~), python3 (<< 3.$((minor + 1))~)|" \
    "$source_tree/deploy/debian/control" >"$package/DEBIAN/control"
(cd "$package" && find opt usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$package/DEBIAN/md5sums"

find "$package" -print0 | xargs -0 touch --no-dereference --date="@$SOURCE_DATE_EPOCH"
mkdir -p "$out"
deb=$out/edged_${version}_$architecture.deb
say "packing $deb"
# one thread: with several, xz's output depends on their number
DPKG_DEB_THREADS_MAX=1 dpkg-deb --root-owner-group "-Z$compression" --build "$package" "$work/edged.deb" >/dev/null
mv "$work/edged.deb" "$deb"
say "$(du -k "$deb" | cut -f1) KiB; install it: sudo apt install $deb"
