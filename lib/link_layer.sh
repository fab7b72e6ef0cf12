#!/bin/sh
# Makes the include folder of one layer: a link for each layer it may include from.
# Usage: link_layer.sh <folder> <lib folder> <layer>...
# Called by meson.build when the build is configured.
set -eu

folder=$1
lib=$2
shift 2

rm -rf "$folder"
mkdir -p "$folder"
for layer; do
  ln -s "$lib/$layer" "$folder/$layer"
done
