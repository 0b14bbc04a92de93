#!/bin/sh
# Makes configure and the Makefile templates from their sources.
set -eu
cd "$(dirname "$0")"
mkdir -p build-aux m4
exec autoreconf --force --install
