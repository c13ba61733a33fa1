#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# make install, make uninstall: the files of the table below to their places, or away from there.
# A configuration that somebody wrote is never touched.
set -eu
cd "$(dirname "$0")/.."

root=${DESTDIR-}

# mode, from, to
table()
{
	cat <<-END
		755 $BUILD/loader $LIBEXECDIR/shunt/loader
		644 $BUILD/man/shunt.8 $MANDIR/man8/shunt.8
		644 $BUILD/man/shunt.yaml.5 $MANDIR/man5/shunt.yaml.5
		644 $BUILD/completion/shunt $PREFIX/share/bash-completion/completions/shunt
		644 lib/shunt/cid.h $INCLUDEDIR/shunt/cid.h
		644 $BUILD/libshunt-cid.a $LIBDIR/libshunt-cid.a
		755 $BUILD/$LIB_SONAME $LIBDIR/libshunt-cid.so.$LIB_VERSION
		644 $BUILD/libshunt-cid.pc $LIBDIR/pkgconfig/libshunt-cid.pc
		644 $BUILD/man/shunt-cid.3 $MANDIR/man3/shunt-cid.3
		644 loader/dist/shunt@.service $UNITDIR/shunt@.service
		644 loader/dist/shunt.yaml $SYSCONFDIR/shunt/shunt.yaml.example
	END
}

place()
{
	table | while read -r mode from to; do
		install -D -m "$mode" "$from" "$root$to"
	done
	sed -i "s|^ExecStart=shunt |ExecStart=$SBINDIR/shunt |" "$root$UNITDIR/shunt@.service"
	install -d "$root$SBINDIR"
	ln -sfr "$root$LIBEXECDIR/shunt/loader" "$root$SBINDIR/shunt"
	ln -sf "libshunt-cid.so.$LIB_VERSION" "$root$LIBDIR/$LIB_SONAME"
	ln -sf "$LIB_SONAME" "$root$LIBDIR/libshunt-cid.so"
}

remove()
{
	table | while read -r _ _ to; do
		rm -f "$root$to"
	done
	rm -f "$root$SBINDIR/shunt" "$root$LIBDIR/$LIB_SONAME" "$root$LIBDIR/libshunt-cid.so"
	for ours in "$root$LIBEXECDIR/shunt" "$root$INCLUDEDIR/shunt" "$root$SYSCONFDIR/shunt"; do
		[ ! -d "$ours" ] || rmdir --ignore-fail-on-non-empty "$ours"
	done
}

case ${1-} in
install) place ;;
uninstall) remove ;;
*)
	echo "usage: ci/place.sh install|uninstall (called by make, which sets the places)" >&2
	exit 2
	;;
esac
